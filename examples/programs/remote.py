# SPDX-License-Identifier: MIT
"""paramiko: runs a command on several hosts, each in a thread: remote.py KEY USER COMMAND HOST:PORT..."""
import sys
import threading

import paramiko


def run(host, port, command, **options):
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(host, port, allow_agent=False, look_for_keys=False, **options)
        _, output, _ = client.exec_command(command, get_pty=True)
        print("command runs", flush=True)
        try:
            for line in output:
                print(f"{host}: {line}", end="", flush=True)
        finally:
            print("connection closed", flush=True)


if __name__ == "__main__":
    key, user, command, *hosts = sys.argv[1:]
    threads = []
    for place in hosts:
        host, _, port = place.partition(":")
        options = {"username": user, "key_filename": key}
        threads.append(threading.Thread(target=run, args=(host, int(port), command), kwargs=options))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
