# SPDX-License-Identifier: MIT
"""The standard library's clients of silent servers. Each call makes a new connection, which the interrupt closes."""
import ftplib
import http.client
import imaplib
import io
import os
import poplib
import smtplib
import ssl
import subprocess
import tempfile
import unittest
import urllib.request
import urllib.robotparser
import warnings
import xmlrpc.client
from contextlib import closing, suppress

import blocking
import talking
from blocking import Call
from channels import fifo, full_tcp_server

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        import nntplib
        import telnetlib
    except ImportError:
        nntplib = telnetlib = None  # removed in 3.13

cases = blocking.Cases(__name__)
HOST = "127.0.0.1"


def client(call, handle, function, result=None, what="a silent server"):
    """A case for function(port)."""

    @cases.case(call, what)
    def _():
        with talking.serving(handle) as (port, release):
            yield Call(lambda: function(port), release, result)


# ---- HTTP ----------------------------------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 6\r\n\r\n"
SILENT = talking.answer(b"", HEAD + b"hello\n")
SILENT_BODY = talking.answer(HEAD, b"hello\n")


def get(port, read):
    with closing(http.client.HTTPConnection(HOST, port)) as connection:
        connection.request("GET", "/")
        with connection.getresponse() as response:
            return read(response)


client("http.client.HTTPConnection.getresponse()", SILENT, lambda port: get(port, lambda r: r.status), 200)
client("http.client.HTTPResponse.read()", SILENT_BODY, lambda port: get(port, lambda r: r.read()), b"hello\n")
client("http.client.HTTPResponse.readline()", SILENT_BODY, lambda port: get(port, lambda r: r.readline()), b"hello\n")
client("http.client.HTTPResponse.readinto()", SILENT_BODY, lambda port: get(port, lambda r: r.readinto(bytearray(9))), 6)


def connect_by_proxy(port):
    with closing(http.client.HTTPConnection(HOST, port)) as connection:
        connection.set_tunnel("nowhere", 80)
        connection.connect()


client(
    "http.client.HTTPConnection.connect()",
    talking.answer(b"", b"HTTP/1.0 200 OK\r\n\r\n"),
    connect_by_proxy,
    what="a silent proxy",
)


def post(port):
    with closing(http.client.HTTPConnection(HOST, port)) as connection:
        connection.request("POST", "/", b"." * (16 << 20))


client("http.client.HTTPConnection.request()", talking.nothing, post, what="a full socket")


@cases.case("http.client.HTTPConnection.connect()", "a full backlog")
def _():
    with full_tcp_server() as (address, release):

        def call():
            with closing(http.client.HTTPConnection(*address)) as connection:
                connection.connect()

        yield Call(call, release, again=False, state="closed")


def connect_by_tls(port):
    with closing(http.client.HTTPSConnection(HOST, port, context=ssl.create_default_context())) as connection:
        with suppress(OSError):  # the other end gives up
            connection.connect()


client("http.client.HTTPSConnection.connect()", talking.close, connect_by_tls)


def url(port):
    return f"http://{HOST}:{port}/"


def open_url(port, read):
    with urllib.request.urlopen(url(port), timeout=3600) as response:
        return read(response)


client("urllib.request.urlopen()", SILENT, lambda port: open_url(port, lambda r: r.status), 200)
client("urllib.request.urlopen().read()", SILENT_BODY, lambda port: open_url(port, lambda r: r.read()), b"hello\n")


def retrieve(port):
    with tempfile.TemporaryDirectory() as folder:
        urllib.request.urlretrieve(url(port), os.path.join(folder, "file"))


client("urllib.request.urlretrieve()", SILENT_BODY, retrieve)


def read_robots(port):
    parser = urllib.robotparser.RobotFileParser(url(port))
    parser.read()


client("urllib.robotparser.RobotFileParser.read()", SILENT, read_robots)


def call_remote(port):
    with xmlrpc.client.ServerProxy(url(port)) as proxy:
        with suppress(Exception):  # the data is no valid answer
            proxy.function()


client("xmlrpc.client.ServerProxy", SILENT, call_remote)


# ---- FTP -------------------------------------------------------------------------------------------------------------------------


def ftp(port, function):
    with closing(ftplib.FTP()) as connection:
        connection.connect(HOST, port)
        return function(connection)


client("ftplib.FTP()", talking.talk("...220 hi"), lambda port: ftp(port, lambda c: None))
client("ftplib.FTP.login()", talking.talk("220 hi", "...230 ok"), lambda port: ftp(port, lambda c: c.login()), "230 ok")
client("ftplib.FTP.quit()", talking.talk("220 hi", "...221 ok"), lambda port: ftp(port, lambda c: c.quit()), "221 ok")


def ftp_tls(port):
    with closing(ftplib.FTP_TLS()) as connection:
        connection.connect(HOST, port)
        with suppress(ftplib.error_perm):
            connection.auth()


client("ftplib.FTP_TLS.auth()", talking.talk("220 hi", "...502 no"), ftp_tls)


def transferring(call, handle, function, result):
    """A case for a call that waits for data on the data connection."""

    @cases.case(call, "a silent server")
    def _():
        with talking.serving(handle) as (data_port, send):
            passive = f"227 (127,0,0,1,{data_port >> 8},{data_port & 255})"
            control = talking.talk("220 hi", "200 type", passive, "150 begin\r\n226 end")
            with talking.serving(control) as (port, _release):
                yield Call(lambda: ftp(port, function), send, result)


def send_hello(connection, said):
    said.wait()
    connection.sendall(b"hello")


def retrieve_binary(connection):
    pieces = []
    connection.retrbinary("RETR x", pieces.append)
    return b"".join(pieces)


transferring("ftplib.FTP.retrbinary()", send_hello, retrieve_binary, b"hello")


def retrieve_lines(connection):
    lines = []
    connection.retrlines("RETR x", lines.append)
    return lines


transferring("ftplib.FTP.retrlines()", send_hello, retrieve_lines, ["hello"])
transferring(
    "ftplib.FTP.storbinary()",
    talking.nothing,
    lambda connection: connection.storbinary("STOR x", io.BytesIO(b"." * (16 << 20))),
    "226 end",
)


# ---- mail and news ----------------------------------------------------------------------------------------------------------------


def smtp(port, function):
    connection = smtplib.SMTP()
    try:
        connection.connect(HOST, port)
        return function(connection)
    finally:
        connection.close()


def send_mail(connection):
    return connection.sendmail("a", ["b"], b"hello")


def start_tls(connection):
    with suppress(smtplib.SMTPResponseException):
        connection.starttls()


client("smtplib.SMTP()", talking.talk("...220 hi"), lambda port: smtp(port, lambda c: None))
client("smtplib.SMTP.ehlo()", talking.talk("220 hi", "...250 ok"), lambda port: smtp(port, lambda c: c.ehlo()), (250, b"ok"))
client(
    "smtplib.SMTP.sendmail()",
    talking.talk("220 hi", "250 ok", "...250 ok", "250 ok", "354 go", "body:250 ok"),
    lambda port: smtp(port, send_mail),
    {},
)
client(
    "smtplib.SMTP.starttls()",
    talking.talk("220 hi", "250-ok\r\n250 STARTTLS", "...454 no"),
    lambda port: smtp(port, start_tls),
)


def by_tls(kind):
    """The handshake waits; then the other end gives up."""

    def call(port):
        with suppress(OSError, imaplib.IMAP4.error):
            kind(HOST, port)

    return call


client("smtplib.SMTP_SSL()", talking.close, by_tls(smtplib.SMTP_SSL))
client("imaplib.IMAP4_SSL()", talking.close, by_tls(imaplib.IMAP4_SSL))
client("poplib.POP3_SSL()", talking.close, by_tls(poplib.POP3_SSL))


CAPABLE = "* CAPABILITY IMAP4REV1\r\n{tag} OK done"


def imap(port, function):
    connection = imaplib.IMAP4(HOST, port)
    try:
        connection.state = "SELECTED" if function == fetch else connection.state
        return function(connection)
    finally:
        connection.shutdown()


def fetch(connection):
    return connection.fetch("1", "FLAGS")[0]


client("imaplib.IMAP4()", talking.talk("...* OK hi", CAPABLE), lambda port: imap(port, lambda c: None))
client(
    "imaplib.IMAP4.login()",
    talking.talk("* OK hi", CAPABLE, "...{tag} OK in", CAPABLE),  # newer versions ask again for the capabilities
    lambda port: imap(port, lambda c: c.login("a", "b")[0]),
    "OK",
)
client("imaplib.IMAP4.fetch()", talking.talk("* OK hi", CAPABLE, "...{tag} OK in"), lambda port: imap(port, fetch), "OK")


@cases.case("imaplib.IMAP4_stream()", "a silent process")
def _():
    with fifo() as (name, write):

        def call():
            with suppress(imaplib.IMAP4.error):  # no greeting
                imaplib.IMAP4_stream(f"read line < {name}")

        state = "the process goes on, not waited for"
        yield Call(call, lambda: write(b"\n"), again=False, state=state)
        with suppress(ChildProcessError):
            if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                write(b"\n")
            os.wait()
        subprocess._cleanup()  # frees processes that were not waited for, with their pipes


def pop(port, function):
    connection = poplib.POP3(HOST, port)
    try:
        return function(connection)
    finally:
        connection.close()


client("poplib.POP3()", talking.talk("...+OK hi"), lambda port: pop(port, lambda c: None))
client(
    "poplib.POP3.retr()",
    talking.talk("+OK hi", "...+OK\r\nhello\r\n."),
    lambda port: pop(port, lambda c: c.retr(1)[1]),
    [b"hello"],
)


def read_handler_events(port):
    with nntplib.NNTP(HOST, port):
        pass


client("nntplib.NNTP()", talking.talk("...200 hi", "101 ok\r\nVERSION 2\r\n.", "205 bye"), read_handler_events)


def read_telnet(port):
    with telnetlib.Telnet(HOST, port) as connection:
        return connection.read_until(b"o")


client("telnetlib.Telnet.read_until()", talking.talk("...hello"), read_telnet, b"hello")


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
