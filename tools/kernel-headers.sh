#!/bin/sh
# SPDX-License-Identifier: MIT
# kernel-headers.sh FOLDER: links the kernel's interface headers of this machine, and nothing else, into FOLDER.
set -eu
mkdir -p "$1"
for name in linux asm-generic asm; do
    for from in /usr/include "/usr/include/$(uname -m)-linux-gnu"; do
        if [ -d "$from/$name" ]; then
            ln -sfn "$from/$name" "$1/$name"
        fi
    done
done
