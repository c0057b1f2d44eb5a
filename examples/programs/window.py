# SPDX-License-Identifier: MIT
"""tkinter: a window, and a thread that fetches what it shows."""
import threading
import time
import tkinter


def fetch(show):
    print("fetching", flush=True)
    try:
        time.sleep(3600)
        show("done")
    finally:
        print("fetching ends", flush=True)


if __name__ == "__main__":
    root = tkinter.Tk()
    label = tkinter.Label(root, text="please wait")
    label.pack()
    thread = threading.Thread(target=fetch, args=(lambda text: label.configure(text=text),))
    root.after(500, thread.start)
    try:
        root.mainloop()
    finally:
        print("window closed", flush=True)
    thread.join()
