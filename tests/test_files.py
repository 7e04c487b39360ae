"""Atomic writes, on real pipes, devices, sockets and full disks."""

from __future__ import annotations

import os
import resource
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ndgrad import MLP
from ndgrad.files import check_writable, whole
from ndgrad.graph import Picture

NOBODY = 65534


def write(path: Path | str, content: bytes = b"new") -> None:
    """Write a file."""
    with whole(path) as file:
        file.write(content)


def write_half(path: Path, error: BaseException) -> None:
    """Begin to write a file."""
    with whole(path) as file:
        file.write(b"half")
        raise error


def names(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return sorted(os.listdir(folder))  # noqa: PTH208 - names are needed


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Limit the size of files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    """The old file remains until the block ends, and is then replaced; nothing else is created."""
    path = tmp_path / "a"
    for old, new in ((None, b"first"), (b"first", b"second")):
        with whole(path) as file:
            file.write(new)
            file.flush()
            assert (path.read_bytes() if path.exists() else None) == old
        assert path.read_bytes() == new
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: type[BaseException], old: bytes | None) -> None:
    """After an error in the block the old file is unchanged, or there is none; nothing else is left behind."""
    path = tmp_path / "a"
    if old:
        path.write_bytes(old)
    with pytest.raises(error, match="on purpose"):
        write_half(path, error("on purpose"))
    assert names(tmp_path) == (["a"] if old else [])
    assert not old or path.read_bytes() == old


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, old: bytes | None) -> None:
    """If the system writes only the first bytes, the error names the file, and nothing has changed."""
    path = tmp_path / "a"
    if old:
        path.write_bytes(old)
    with small_files(1000), pytest.raises(OSError, match="File too large") as caught:
        write(path, bytes(100_000))
    assert caught.value.filename == str(path)
    assert names(tmp_path) == (["a"] if old else [])
    assert not old or path.read_bytes() == old


def test_networks_and_pictures_are_whole(tmp_path: Path) -> None:
    """On a full disk `Module.save`, `Picture.save` and `Picture.render` leave the old files unchanged."""
    network, picture = MLP(50, [50]), Picture(format="svg", graph_attr={}, node_attr={}, edge_attr={})
    picture.body += [f"\ta{i} -> a{i + 1}\n" for i in range(100)]
    for name in ("net", "source", "drawn.gv", "drawn.svg"):
        (tmp_path / name).write_text("old")
    with small_files(100):
        for save in (
            lambda: network.save(tmp_path / "net"),
            lambda: picture.save(tmp_path / "source"),
            lambda: picture.render(outfile=tmp_path / "drawn.svg"),
        ):
            with pytest.raises(OSError, match="File too large"):
                save()
    assert {name: (tmp_path / name).read_text() for name in names(tmp_path)} == dict.fromkeys(
        ["drawn.gv", "drawn.svg", "net", "source"], "old"
    )


def test_modes(tmp_path: Path) -> None:
    """A new file has the mode of the umask; a replaced one keeps its mode."""
    before = os.umask(0o027)
    try:
        write(tmp_path / "new")
        (tmp_path / "old").touch()
        (tmp_path / "old").chmod(0o604)
        write(tmp_path / "old")
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names(tmp_path)}
    assert modes == {"new": 0o640, "old": 0o604}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_protected_file_stays() -> None:
    """A write-protected file is not replaced, even if its folder allows it."""
    code = f"""
import os, sys
from ndgrad.files import check_writable, whole
os.seteuid({NOBODY})
for use in (check_writable, lambda path: whole(path).__enter__()):
    try:
        use(sys.argv[1])
    except PermissionError as error:
        print(error)
"""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        path = Path(folder, "a")
        path.write_bytes(b"old")
        for mode, refusals in ((0o666, 0), (0o444, 2)):
            path.chmod(mode)
            command = [sys.executable, "-c", code, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            assert done.stdout == f"[Errno 13] Permission denied: {str(path)!r}\n" * refusals
        assert names(Path(folder)) == ["a"]


def test_links_are_followed(tmp_path: Path) -> None:
    """Links are followed, also to missing files. A link to itself is an error."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    for name in ("old", "new"):
        (tmp_path / name).symlink_to(Path("folder") / name)
        write(tmp_path / name, name.encode())
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "folder" / name).read_text() == name
    assert names(tmp_path / "folder") == ["new", "old"]
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="circle"):
        write(tmp_path / "circle")


def test_long_names(tmp_path: Path) -> None:
    """A name may be as long as the system allows."""
    write(tmp_path / ("x" * 255))
    assert names(tmp_path) == ["x" * 255]


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """A reader of a named pipe gets all that was written, and the pipe remains; after an error it gets nothing."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    with pytest.raises(ValueError, match="on purpose"):
        write_half(path, ValueError("on purpose"))
    network = MLP(3, [4, 1], rng=1)
    network.save(path)
    reader.join(10)
    (tmp_path / "net").write_bytes(read[0])
    with np.load(tmp_path / "net") as arrays:
        assert arrays["layers.0.weight"].tolist() == network.layers[0].weight.data.tolist()
    assert path.is_fifo()
    assert names(tmp_path) == ["net", "pipe"]


def test_devices_are_written_to() -> None:
    """A device remains a device, and a full one is an error."""
    write("/dev/null")
    MLP(3, [1]).save("/dev/null")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        write("/dev/full")
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_standard_output_goes_on(tmp_path: Path, path: str) -> None:
    """Standard output gets the content in its place among other output, for a pipe and for a file."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    code = f"""
from ndgrad.files import check_writable, whole
print("before", flush=True)
check_writable({path!r})
with whole({path!r}) as file:
    file.write(b"written\\n")
print("after")
"""
    command = [sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    piped = subprocess.run(command, capture_output=True, cwd=tmp_path, env=env, check=True).stdout
    with (tmp_path / "out").open("wb") as out:
        subprocess.run(command, stdout=out, cwd=tmp_path, env=env, check=True)
    assert piped == (tmp_path / "out").read_bytes() == b"before\nwritten\nafter\n"
    assert names(tmp_path) == ["link", "out"]


def test_sockets_and_directories_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets and directories are errors that say what to name instead, and remain."""
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        Path("folder").mkdir()
        for refused in (write, check_writable, MLP(3, [1]).save):
            with pytest.raises(OSError, match="is a socket: name a file, a pipe or a character device: 'socket'"):
                refused("socket")
            with pytest.raises(IsADirectoryError, match="is a directory: name a file in it: 'folder'"):
                refused("folder")
        assert Path("socket").is_socket()
    assert names(tmp_path) == ["folder", "socket"]


def test_what_can_be_written_is_known_before(tmp_path: Path) -> None:
    """`check_writable` changes nothing, does not disturb readers of a pipe, and its errors name the path."""
    (tmp_path / "old").write_bytes(b"old")
    os.mkfifo(tmp_path / "pipe")
    for name in ("old", "new", "missing/new", "pipe"):
        check_writable(tmp_path / name)
    check_writable("/dev/null")
    with pytest.raises(NotADirectoryError, match="'/dev/null/x/y'"):
        check_writable("/dev/null/x/y")
    with pytest.raises(NotADirectoryError, match="old/new"):
        check_writable(tmp_path / "old" / "new")
    assert names(tmp_path) == ["old", "pipe"]
    assert (tmp_path / "old").read_bytes() == b"old"
