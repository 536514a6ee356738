"""The time that the machine itself takes to send a byte to another process and back, whatever the engine."""

import multiprocessing
import socket
import threading
import time

RESTS, REST_S = 50, 0.05


def byte_there_and_back_s() -> float:
    """The CPU seconds here of a byte to another process and back to a thread, each after a rest.

    The machine takes so much of a hop, whatever is sent: to wake three threads that slept.
    """
    here, there = socket.socketpair()
    echo = multiprocessing.get_context("spawn").Process(target=_echo, args=(there,))
    echo.start()
    came = threading.Event()

    def read() -> None:
        while here.recv(1):
            came.set()

    threading.Thread(target=read, daemon=True).start()
    start_s = 0.0
    for number in range(-3, RESTS):
        if number == 0:
            start_s = time.process_time()
        time.sleep(REST_S)
        came.clear()
        here.send(b"x")
        came.wait()
    spent_s = time.process_time() - start_s
    echo.terminate()
    echo.join()
    return spent_s / RESTS


def _echo(there: socket.socket) -> None:
    while received := there.recv(1):
        there.send(received)
