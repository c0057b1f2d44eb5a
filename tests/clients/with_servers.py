# SPDX-License-Identifier: MIT
"""with_servers.py SERVER[,SERVER...] PROGRAM...: runs a program beside real servers on the loopback, each in its folder.

postgres   PGHOST, PGPORT, PGUSER, PGDATABASE are its address, user and database
nginx      CLIENTS_WEB is its https address, CLIENTS_WEB_PID its process, CLIENTS_CA the certificate to trust: /slow sends
           a byte a second, /silent never answers, /upload never ends, /quick answers, /status counts connections
mosquitto  CLIENTS_BROKER is its port
mariadb    CLIENTS_MARIADB is its port; root has no password
redis      CLIENTS_REDIS is its port
sshd       CLIENTS_SSH is its port; CLIENTS_SSH_USER logs in with the key CLIENTS_SSH_KEY
slapd      CLIENTS_LDAP is its port, CLIENTS_LDAP_PID its process
dbus       DBUS_SESSION_BUS_ADDRESS is its address

CLIENTS_UNDER is a command that runs the program, for example valgrind. If a server is not installed, the exit status is
77, which skips the test.
"""
import os
import pwd
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from checks import free_port  # noqa: E402


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(77)


def wait_for(what, condition):
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"{what} does not come up")
        time.sleep(0.02)


def connects(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


# ---- PostgreSQL ----------------------------------------------------------------------------------------------------

SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 200
fsync = off
client_connection_check_interval = 100
log_min_messages = panic
"""


def postgres(folder):
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not programs:
        skip("PostgreSQL is not installed")
    bin, data, port = programs[-1].parent, folder / "data", free_port()
    who = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = pwd.getpwnam("postgres")
        shutil.chown(folder, user.pw_uid, user.pw_gid)
        who = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    subprocess.run([*who, bin / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"],
                   check=True, stdout=subprocess.DEVNULL, cwd=folder)
    with open(data / "postgresql.conf", "a") as f:
        f.write(f"{SETTINGS}port = {port}\nunix_socket_directories = '{folder}'\n")
    server = subprocess.Popen([*who, bin / "postgres", "-D", data], stdin=subprocess.DEVNULL, cwd=folder,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ.update(PGHOST="127.0.0.1", PGPORT=str(port), PGUSER="tester", PGDATABASE="postgres")
    ready = [str(bin / "pg_isready"), "-q"]
    wait_for("PostgreSQL", lambda: subprocess.run(ready).returncode == 0)
    return lambda: (server.send_signal(signal.SIGINT), server.wait())


# ---- nginx, and behind it a slow or silent server ----------------------------------------------------

NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log /dev/null;
{user}
worker_processes 1;
events {{ worker_connections 2000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        client_max_body_size 0;
        location /quick {{ return 200 "quick\\n"; }}
        location /status {{ stub_status; }}
        location / {{
            proxy_pass http://127.0.0.1:{behind};
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_read_timeout 3600s;
            proxy_send_timeout 3s; # while nginx waits for room behind it, it does not notice that the client has gone
        }}
    }}
}}
"""


class Behind(socketserver.BaseRequestHandler):
    """Reads the head of a request, and then acts by its path. Never ends by itself."""

    def handle(self):
        head = self.request.recv(4096)
        try:
            if b"/slow" in head:
                self.request.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                while True:
                    self.request.sendall(b".")
                    time.sleep(1)
            while b"/upload" not in head and self.request.recv(4096):
                pass
            threading.Event().wait()  # for an upload, which is not read any further
        except OSError:
            pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 1000


def nginx(folder):
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not program or not shutil.which("openssl"):
        skip("nginx or openssl is not installed")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                   check=True, stderr=subprocess.DEVNULL)
    behind = Server(("127.0.0.1", 0), Behind)
    threading.Thread(target=behind.serve_forever, daemon=True).start()
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    text = NGINX.format(folder=folder, port=port, behind=behind.server_address[1], user=user)
    (folder / "conf").write_text(text)
    server = subprocess.Popen([program, "-p", folder, "-c", folder / "conf"], stdin=subprocess.DEVNULL)
    os.environ.update(CLIENTS_WEB=f"https://127.0.0.1:{port}", CLIENTS_WEB_PID=str(server.pid),
                      CLIENTS_CA=str(folder / "cert.pem"))
    wait_for("nginx", lambda: connects(port))
    return lambda: (server.terminate(), server.send_signal(signal.SIGCONT), server.wait())  # a test may have stopped it


# ---- mosquitto -----------------------------------------------------------------------------------------------------

MOSQUITTO = """
listener {port} 127.0.0.1
allow_anonymous true
sys_interval 1
log_type none
user {user}
"""


def mosquitto(folder):
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not program:
        skip("mosquitto is not installed")
    port = free_port()
    (folder / "conf").write_text(MOSQUITTO.format(port=port, user=pwd.getpwuid(os.geteuid()).pw_name))
    server = subprocess.Popen([program, "-c", folder / "conf"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ.update(CLIENTS_BROKER=str(port))
    wait_for("mosquitto", lambda: connects(port))
    return lambda: (server.terminate(), server.wait())


# ---- MariaDB -------------------------------------------------------------------------------------------------------

def find(*names):
    for name in names:
        program = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
        if not program:
            skip(f"{name} is not installed")
    return program


def mariadb(folder):
    program, install = find("mariadbd"), find("mariadb-install-db")
    user, data, port = pwd.getpwuid(os.geteuid()).pw_name, folder / "data", free_port()
    # A server removes other servers' temporary tables when it starts: so each has a folder for them.
    common = ["--no-defaults", f"--user={user}", f"--datadir={data}", f"--tmpdir={folder}"]
    result = subprocess.run([install, *common, "--auth-root-authentication-method=normal", "--skip-test-db"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        sys.exit(f"{install} failed with status {result.returncode}:\n{result.stdout}")
    server = subprocess.Popen([program, *common, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/socket",
                               f"--pid-file={folder}/pid", "--skip-name-resolve", "--max-connections=500",
                               "--innodb-buffer-pool-size=16M", "--skip-log-bin"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ.update(CLIENTS_MARIADB=str(port))
    wait_for("MariaDB", lambda: connects(port))
    return lambda: (server.kill(), server.wait())  # terminate() would wait for queries that sleep


# ---- Redis ---------------------------------------------------------------------------------------------------------

def redis(folder):
    port = free_port()
    server = subprocess.Popen([find("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    os.environ.update(CLIENTS_REDIS=str(port))
    wait_for("Redis", lambda: connects(port))
    return lambda: (server.terminate(), server.wait())


# ---- sshd ----------------------------------------------------------------------------------------------------------

SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile {folder}/pid
AuthorizedKeysFile {folder}/user.pub
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
MaxStartups 1000
LogLevel QUIET
"""


def sshd(folder):
    program, port = find("ssh-keygen", "sshd"), free_port()
    for name in "host", "user":
        subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-m", "PEM", "-N", "", "-f", folder / name], check=True)
    (folder / "conf").write_text(SSHD.format(port=port, folder=folder))
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # sshd refuses to start without it
    server = subprocess.Popen([program, "-D", "-f", folder / "conf"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ.update(CLIENTS_SSH=str(port), CLIENTS_SSH_KEY=str(folder / "user"),
                      CLIENTS_SSH_USER=pwd.getpwuid(os.geteuid()).pw_name)
    wait_for("sshd", lambda: connects(port))
    return lambda: (server.terminate(), server.wait())


# ---- OpenLDAP ------------------------------------------------------------------------------------------------------

SLAPD = """
include /etc/ldap/schema/core.schema
pidfile {folder}/pid
database ldif
suffix "dc=example"
directory {folder}/data
"""


def slapd(folder):
    program, port = find("slapd"), free_port()
    (folder / "data").mkdir()
    (folder / "conf").write_text(SLAPD.format(folder=folder))
    server = subprocess.Popen([program, "-d", "0", "-f", folder / "conf", "-h", f"ldap://127.0.0.1:{port}"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ.update(CLIENTS_LDAP=str(port), CLIENTS_LDAP_PID=str(server.pid))
    wait_for("slapd", lambda: connects(port))
    return lambda: (server.kill(), server.wait())


# ---- D-Bus ---------------------------------------------------------------------------------------------------------

DBUS = """<busconfig>
<type>session</type>
<listen>unix:path={folder}/socket</listen>
<auth>EXTERNAL</auth>
<policy context="default">
  <allow send_destination="*" eavesdrop="true"/>
  <allow eavesdrop="true"/>
  <allow own="*"/>
</policy>
<limit name="max_replies_per_connection">50000</limit>
</busconfig>
"""


def dbus(folder):
    (folder / "conf").write_text(DBUS.format(folder=folder))
    server = subprocess.Popen([find("dbus-daemon"), "--nofork", f"--config-file={folder}/conf"], stdin=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    os.environ.update(DBUS_SESSION_BUS_ADDRESS=f"unix:path={folder}/socket")
    wait_for("dbus-daemon", (folder / "socket").exists)
    return lambda: (server.terminate(), server.wait())


SERVERS = {"postgres": postgres, "nginx": nginx, "mosquitto": mosquitto, "mariadb": mariadb, "redis": redis, "sshd": sshd,
           "slapd": slapd, "dbus": dbus}


def main():
    ends = []
    with tempfile.TemporaryDirectory(prefix="bough-clients-") as top:
        os.chmod(top, 0o755)
        try:
            for name in filter(None, sys.argv[1].split(",")):
                folder = Path(top) / name
                folder.mkdir()
                ends.append(SERVERS[name](folder))
            # client.h counts memory in use, which would include the memory that libc keeps for a thread's next
            # malloc().
            os.environ["GLIBC_TUNABLES"] = "glibc.malloc.tcache_count=0"
            return subprocess.run([*os.environ.get("CLIENTS_UNDER", "").split(), *sys.argv[2:]]).returncode
        finally:
            for end in ends:
                end()


sys.exit(main())
