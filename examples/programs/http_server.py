# SPDX-License-Identifier: MIT
"""http.server with a thread for each request. A request for /events stays open and gets a line each second."""
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        print("request begins", flush=True)
        try:
            while self.path == "/events":
                self.wfile.write(b"tick\n")
                time.sleep(1)
        finally:
            print("request ends", flush=True)

    def log_message(self, format, *args):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"listening on {server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        print("server closed", flush=True)
