# SPDX-License-Identifier: MIT
"""Python's streams, and the modules that read and write by them: parsers, archives, copies."""
import bz2
import codecs
import csv
import fileinput
import gzip
import hashlib
import io
import json
import lzma
import marshal
import os
import pickle
import random
import shutil
import sys
import tarfile
import unittest
import xml.etree.ElementTree
import xml.parsers.expat
import xml.sax
import zipfile
from contextlib import ExitStack, contextmanager

import blocking
from blocking import Call
from channels import fill, full_pipe, pipe, running, standard_input

cases = blocking.Cases(__name__)
case = cases.case
# random data, which cannot be compressed, and larger than any buffer
NOISE = random.Random(0).randbytes(8 * io.DEFAULT_BUFFER_SIZE + 100_000)


# ---- reading ---------------------------------------------------------------------------------------------------------------


def reading(call, function, data, result, *, ends=False, mode="rb", what="an empty pipe", **settings):
    """A case for function(file), which waits for `data`, or for the end of the file as well."""

    @case(call, what)
    def _():
        r, w = os.pipe()
        with open(r, mode, **settings) as reader, open(w, "wb", buffering=0) as writer:

            def release():
                writer.write(data)
                if ends:
                    writer.close()

            yield Call(lambda: function(reader), release, result)


reading("io.FileIO.read()", lambda f: f.read(10), b"hello", b"hello", buffering=0)
reading("io.FileIO.readinto()", lambda f: f.readinto(bytearray(10)), b"hello", 5, buffering=0)
reading("io.FileIO.readall()", lambda f: f.readall(), b"hello", b"hello", ends=True, buffering=0)
reading("io.BufferedReader.read()", lambda f: f.read(), b"hello", b"hello", ends=True)
reading("io.BufferedReader.read(n)", lambda f: f.read(5), b"hello", b"hello")
reading("io.BufferedReader.read1()", lambda f: f.read1(), b"hello", b"hello")
reading("io.BufferedReader.peek()", lambda f: f.peek(), b"hello", b"hello")
reading("io.BufferedReader.readinto()", lambda f: f.readinto(bytearray(5)), b"hello", 5)
reading("io.BufferedReader.readline()", lambda f: f.readline(), b"hello\n", b"hello\n")
reading("io.BufferedReader.readlines()", lambda f: f.readlines(), b"a\nb\n", [b"a\n", b"b\n"], ends=True)
reading("io.BufferedReader.__next__()", next, b"hello\n", b"hello\n")
reading("io.TextIOWrapper.read()", lambda f: f.read(), b"hello", "hello", ends=True, mode="r")
reading("io.TextIOWrapper.readline()", lambda f: f.readline(), b"hello\n", "hello\n", mode="r")
reading("io.TextIOWrapper.__next__()", next, b"hello\n", "hello\n", mode="r")
reading("codecs.StreamReader.readline()", lambda f: codecs.getreader("utf-8")(f).readline(), b"a\n", "a\n", ends=True)
reading("pickle.load()", pickle.load, pickle.dumps([1]), [1])
reading("json.load()", json.load, b"[1]", [1], ends=True)
reading("csv.reader()", lambda f: next(csv.reader(f)), b"a,b\n", ["a", "b"], mode="r", newline="")
reading("hashlib.file_digest()", lambda f: hashlib.file_digest(f, "md5").digest(), b"", hashlib.md5().digest(), ends=True)
reading("xml.etree.ElementTree.parse()", lambda f: xml.etree.ElementTree.parse(f).getroot().tag, b"<a/>", "a", ends=True)
reading("xml.parsers.expat.ParseFile()", lambda f: xml.parsers.expat.ParserCreate().ParseFile(f), b"<a/>", 1, ends=True)
reading("gzip.GzipFile.read()", lambda f: gzip.GzipFile(fileobj=f).read(5), gzip.compress(b"hello"), b"hello", ends=True)
reading("bz2.BZ2File.read()", lambda f: bz2.BZ2File(f).read(5), bz2.compress(b"hello"), b"hello", ends=True)
reading("lzma.LZMAFile.read()", lambda f: lzma.LZMAFile(f).read(5), lzma.compress(b"hello"), b"hello", ends=True)


@case("io.BufferedReader.read()", "another thread's read")
def _():
    """waits for the buffer's lock"""
    with pipe() as (r, w), open(r, "rb", closefd=False) as file, running(file.read, 5) as other:
        blocking.until_blocked(other)
        yield Call(lambda: file.read(5), lambda: os.write(w, b"helloworld"), again=False, state="usable")


@case("xml.sax.parse()", "an empty pipe")
def _():
    r, w = os.pipe()
    with open(r, "rb") as reader, open(w, "wb", buffering=0) as writer:

        def release():
            writer.write(b"<a/>")
            writer.close()

        yield Call(lambda: xml.sax.parse(reader, xml.sax.ContentHandler()), release, again=False, state="the file is closed")


@case("marshal.load()", "an empty pipe")
def _():
    with pipe() as (r, w), open(r, "rb", closefd=False) as file:
        yield Call(lambda: marshal.load(file), lambda: os.write(w, marshal.dumps([1])), swallows=True)


@case("io.FileIO.readline()", "an empty pipe")
def _():
    with pipe() as (r, w), open(r, "rb", 0, closefd=False) as file:
        yield Call(file.readline, lambda: os.write(w, b"hello\n"), b"hello\n")


@case("io.BufferedRWPair.write()", "a full pipe")
def _():
    with writer(buffering=0) as (raw, release), pipe() as (r, _), open(r, "rb", 0, closefd=False) as reader:
        both = io.BufferedRWPair(reader, raw, 10)
        yield Call(lambda: both.write(b"." * 10_000), release, 10_000)
        release_all(raw.fileno())
        both.flush()


@case("io.BufferedRWPair.read()", "an empty pipe")
def _():
    with pipe() as (r, w), open(r, "rb", 0, closefd=False) as reader, open(w, "wb", 0, closefd=False) as writer:
        both = io.BufferedRWPair(reader, writer)
        yield Call(lambda: both.read(5), lambda: os.write(w, b"hello"), b"hello")


def from_standard_input(call, function, ends):
    @case(call, "an empty pipe")
    def _():
        r, w = os.pipe()
        with open(r, "rb", 0) as reader, open(w, "wb", 0) as writer, standard_input(reader.fileno()):

            def release():
                writer.write(b"hello\n")
                if ends:
                    writer.close()

            yield Call(lambda: function().rstrip("\n"), release, "hello")


from_standard_input("input()", input, False)
from_standard_input("sys.stdin.read()", lambda: sys.stdin.read(), True)
from_standard_input("fileinput.input()", lambda: next(fileinput.FileInput(files=("-",))), False)


@case("shutil.copyfileobj()", "an empty pipe")
def _():
    r, w = os.pipe()
    with open(r, "rb") as reader, open(w, "wb", buffering=0) as writer:
        yield Call(lambda: shutil.copyfileobj(reader, io.BytesIO()), writer.close)


# ---- writing ---------------------------------------------------------------------------------------------------------------


@contextmanager
def writer(mode="wb", **settings):
    """Yields a file on a full pipe, and a function that makes room."""
    with full_pipe() as (w, release):
        file = open(w, mode, closefd=False, **settings)
        try:
            yield file, release
        finally:
            release_all(w)
            file.close()


def release_all(w):
    """Discards the data in the file's buffer."""
    os.set_blocking(w, True)
    null = os.open("/dev/null", os.O_WRONLY)
    os.dup2(null, w)
    os.close(null)


def writing(call, function, result=None, *, mode="wb", again=True, state=None, what="a full pipe", **settings):
    @case(call, what)
    def _():
        with writer(mode, **settings) as (file, release):
            yield Call(lambda: function(file), release, result, again=again, state=state)


def flushed(file, data):
    file.write(data)
    file.flush()


LOST = "closed; what was not written is lost, as after any error"
CUT_SHORT = "the archive ends in the middle"
writing("io.FileIO.write()", lambda f: f.write(b"hello"), 5, buffering=0)
writing("io.BufferedWriter.write()", lambda f: f.write(b"." * 10_000), 10_000, buffering=10)
writing("io.BufferedWriter.flush()", lambda f: flushed(f, b"x"))
writing("io.BufferedWriter.close()", lambda f: (f.write(b"x"), f.close()), again=False, state=LOST)
writing("io.TextIOWrapper.write()", lambda f: f.write("x\n"), 2, mode="w", buffering=1)
writing("io.TextIOWrapper.flush()", lambda f: flushed(f, "x"), mode="w")
writing("print()", lambda f: print("x", file=f, flush=True), mode="w")
writing("shutil.copyfileobj()", lambda f: shutil.copyfileobj(io.BytesIO(b"hello"), f), buffering=0)


@case("io.TextIOWrapper.close()", "a full pipe")
def _():
    with writer("w") as (file, release):
        yield Call(lambda: (file.write("x"), file.close()), release, way="raise_exc")


def compressing(call, make, write):
    """make(file) makes the object that write() writes to. It is closed when that no longer blocks."""

    @case(call, "a full pipe")
    def _():
        with pipe() as (r, w), ExitStack() as stack:
            file = stack.enter_context(open(w, "wb", 0, closefd=False))
            archive = make(file)
            fill(w)

            def release():
                stack.enter_context(running(read_all, r))

            yield Call(lambda: write(archive), release, again=False, state=CUT_SHORT)
            release_all(w)
            archive.close()


def read_all(fd):
    while os.read(fd, 65536):
        pass


compressing("gzip.GzipFile.write()", lambda f: gzip.GzipFile(fileobj=f, mode="wb"), lambda a: a.write(NOISE))
compressing("zipfile.ZipFile.writestr()", lambda f: zipfile.ZipFile(f, "w"), lambda a: a.writestr("name", NOISE))


def add_member(archive):
    member = tarfile.TarInfo("name")
    member.size = len(NOISE)
    archive.addfile(member, io.BytesIO(NOISE))


compressing("tarfile.TarFile.addfile()", lambda f: tarfile.open(fileobj=f, mode="w|"), add_member)


# ---- archives ----------------------------------------------------------------------------------------------------------------


def tar_of(*sizes):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for size in sizes:
            member = tarfile.TarInfo(str(size))
            member.size = size
            archive.addfile(member, io.BytesIO(NOISE))
    return out.getvalue()


@contextmanager
def stream_of(data, first):
    """Yields a file whose first bytes can be read, and a function that writes the rest."""
    r, w = os.pipe()
    with open(r, "rb", 0) as reader, open(w, "wb", 0) as sender:
        sender.write(data[:first])
        yield reader, lambda: (sender.write(data[first:]), sender.close())


@case("tarfile.open()", "an empty pipe")
def _():
    with stream_of(tar_of(5), 0) as (file, release):
        yield Call(lambda: tarfile.open(fileobj=file, mode="r|").next().name, release, "5")


@case("tarfile.TarFile.next()", "an empty pipe")
def _():
    with stream_of(tar_of(5, 6), 1024) as (file, release):
        archive = tarfile.open(fileobj=file, mode="r|", bufsize=512)
        archive.next()
        yield Call(lambda: archive.next().name, release, "6")


@case("tarfile.ExFileObject.read()", "an empty pipe")
def _():
    with stream_of(tar_of(1000), 512) as (file, release):
        archive = tarfile.open(fileobj=file, mode="r|", bufsize=512)
        member = archive.extractfile(archive.next())
        yield Call(lambda: len(member.read()), release, 1000)


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
