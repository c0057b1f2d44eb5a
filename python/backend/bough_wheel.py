# SPDX-License-Identifier: MIT
"""A wheel, as its specification has it: an archive of files with their hashes."""
import base64
import hashlib
import os
import sys
import sysconfig
import time
import zipfile


def tag():
    """Of this interpreter, on this machine. tools/wheels.py names the oldest system that it runs on."""
    number = "cp{}{}".format(*sys.version_info)
    abi = number + ("t" if sysconfig.get_config_var("Py_GIL_DISABLED") else "") + ("d" if hasattr(sys, "gettotalrefcount") else "")
    return f"{number}-{abi}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def info_files(project):
    """name -> data, of the folder dist-info; RECORD comes last."""
    files = {
        "METADATA": project.text().encode(),
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: bough\nRoot-Is-Purelib: false\nTag: {tag()}\n".encode(),
        "LICENSE": project.licence.encode(),
    }
    if project.entry_points():
        files["entry_points.txt"] = project.entry_points().encode()
    return files


def info_name(project):
    return f"{project.name}-{project.version}.dist-info"


def write_info(folder, project):
    target = folder / info_name(project)
    target.mkdir()
    for name, data in info_files(project).items():
        (target / name).write_bytes(data)
    return target.name


def when():
    """The earliest time that an archive can hold is in 1980."""
    return time.gmtime(max(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())), 315532800))[:6]


def entry(name, mode):
    info = zipfile.ZipInfo(name, when())
    info.external_attr = (0o100000 | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def line(name, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def write(folder, project, files):
    """`files`: path in the wheel -> file. Returns the wheel's name."""
    target = folder / f"{project.name}-{project.version}-{tag()}.whl"
    info = info_name(project)
    record = ""
    with zipfile.ZipFile(target, "w") as archive:
        for name, path in sorted(files.items()):
            data = path.read_bytes()
            archive.writestr(entry(name, 0o755 if os.access(path, os.X_OK) else 0o644), data)
            record += line(name, data)
        for name, data in info_files(project).items():
            archive.writestr(entry(f"{info}/{name}", 0o644), data)
            record += line(f"{info}/{name}", data)
        archive.writestr(entry(f"{info}/RECORD", 0o644), record + f"{info}/RECORD,,\n")
    return target.name
