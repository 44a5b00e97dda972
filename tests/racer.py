"""One racing client program, started many times by tests/races.py; the standard library's sockets only, to start fast.

Reads lines `PORT PATH TOKEN BODY` (BODY is JSON without a line end, or a form), posts each the moment it is read, and
prints the status and the body of the answer as one line.
"""

import socket
import sys


def main() -> None:
    """Until standard input ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        port, path, token, body = line.rstrip("\n").split(" ", 3)
        kind = "application/json" if body.startswith("{") else "application/x-www-form-urlencoded"
        payload = body.encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: {kind}\r\nContent-Length: {len(payload)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", int(port)), timeout=30) as connection:
            connection.sendall(head.encode() + payload)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        header, _, said = answer.partition(b"\r\n\r\n")
        print(header.split(b" ", 2)[1].decode(), said.decode(), flush=True)


main()
