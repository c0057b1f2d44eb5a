# SPDX-License-Identifier: MIT
"""socketserver with a thread for each client. The end of the `with` block waits for the threads, and so for the clients."""
import socketserver


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        print("client has come", flush=True)
        try:
            for line in self.rfile:
                self.wfile.write(line.upper())
        finally:
            print("client is gone", flush=True)


if __name__ == "__main__":
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        print(f"listening on {server.server_address[1]}", flush=True)
        server.serve_forever()
