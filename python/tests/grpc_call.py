# SPDX-License-Identifier: MIT
"""
grpc_call.py [serve]: starts a server, calls it by call() of docs/python.md, interrupts the call, and checks that the
server stops working on it. The argument is for the server's process.
"""
import concurrent.futures
import subprocess
import sys
import threading
import time

import grpc

LIMIT = 30


def serve():
    waiting, lock = [], threading.Lock()

    def wait(request, context):
        over = threading.Event()
        context.add_callback(over.set)
        with lock:
            waiting.append(1)
        over.wait()
        with lock:
            waiting.pop()
        return b""

    def count(request, context):
        return str(len(waiting)).encode()

    methods = {name: grpc.unary_unary_rpc_method_handler(f) for name, f in (("Wait", wait), ("Count", count))}
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", methods),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None)


def main(port):
    import bough
    from guide import load

    guide = load()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        wait, count = channel.unary_unary("/test.Test/Wait"), channel.unary_unary("/test.Test/Count")

        def until(number):
            end = time.monotonic() + LIMIT
            while guide.call(count, b"") != number:
                if time.monotonic() > end:
                    raise AssertionError(f"not {number} at work")
                time.sleep(0.01)

        with bough.branch() as b:
            child = b.add(guide.call, wait, b"")
            until(b"1")
            child.interrupt("enough")
        print(child.outcome)
        until(b"0")
        print("usable")
        try:
            with bough.branch(timeout=0.5):
                guide.call(wait, b"")
        except TimeoutError:
            print("TimeoutError")
        until(b"0")
        print("usable")


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        with subprocess.Popen([sys.executable, __file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            try:
                main(int(server.stdout.readline()))
            finally:
                server.stdin.close()
