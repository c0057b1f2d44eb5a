# SPDX-License-Identifier: MIT
"""Flask's server with a thread for each request. /next answers when there is a message, which may be never."""
import queue
import socket

from flask import Flask

app = Flask(__name__)
messages = queue.Queue()


@app.get("/next")
def next_message():
    print("request begins", flush=True)
    try:
        return messages.get()
    finally:
        print("request ends", flush=True)


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    print(f"listening on {port}", flush=True)
    app.run(port=port)
    print("server closed", flush=True)
