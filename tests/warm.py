"""Stages in processes that have torch and transformers loaded: ``python -m tests.warm SOCKET``.

Loading them takes longer than all else in a stage of a tiny project. A ``python`` that comes first
on the PATH hands ``python -m stages.…`` (and ``tests.…``) over to a server, which forks; everything
else it passes on to the real one. The project's own modules are never loaded by the server. When
the process that DVC started is killed, so is the fork, by the same signal. All forks of a server
hash strings alike, so tests of equal bytes run cold.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

CLIENT = """#!{python} -SE
import json, os, signal, socket, sys
if sys.argv[1:2] != ["-m"] or sys.argv[2].split(".")[0] not in ("stages", "tests"):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect({path!r})
for name in (signal.SIGTERM, signal.SIGINT):
    if signal.getsignal(name) != signal.SIG_IGN:
        signal.signal(name, lambda number, frame: server.send(bytes([number])))
ask = json.dumps([sys.argv[2], sys.argv[3:], os.getcwd(), dict(os.environ)]).encode()
server.send(len(ask).to_bytes(8, "big"))
socket.send_fds(server, [ask[:1]], [0, 1, 2])
server.sendall(ask[1:])
code = server.recv(1)
if not code:
    os.kill(os.getpid(), signal.SIGKILL)
os._exit(code[0])
"""
_started: list[Path] = []


def programs() -> Path:
    """The folder to put first on the PATH; the server starts with the first call."""
    if not _started:
        folder = Path(tempfile.mkdtemp(prefix="warm-"))
        path = folder / "socket"
        for name in ("python", Path(sys.executable).name):
            client = folder / name
            client.write_text(CLIENT.format(python=sys.executable, path=str(path)))
            client.chmod(0o755)
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", str(path)],
            cwd=Path(__file__).parents[1], env=environment, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert server.stdout
        server.stdout.readline()  # it listens
        atexit.register(server.kill)
        _started.append(folder)
    return _started[0]


def main() -> None:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(sys.argv[1])
    listening.listen(64)
    print("listening", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    import stages.engines.quiet  # noqa: F401 - it decides how torch is loaded

    for name in [name for name in sys.modules if name.split(".")[0] == "stages"]:
        del sys.modules[name]
    import accelerate  # noqa: F401
    import transformers.models.llama.modeling_llama  # noqa: F401
    from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer  # noqa: F401

    while True:
        client, _ = listening.accept()
        if not os.fork():
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _serve(client)
        client.close()


def _serve(client: socket.socket) -> None:
    size = int.from_bytes(client.recv(8), "big")
    ask, files, _, _ = socket.recv_fds(client, 1, 3)
    while len(ask) < size:
        ask += client.recv(size - len(ask))
    module, arguments, folder, environment = json.loads(ask)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.path[:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [module, *arguments]
    threading.Thread(target=_follow, args=(client,), daemon=True).start()
    code = 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    client.send(bytes([code & 255]))
    os._exit(code & 255)


def _follow(client: socket.socket) -> None:
    """Take the signals that the process in our place was sent, SIGKILL with its end."""
    while number := client.recv(1):
        os.kill(os.getpid(), number[0])
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
