"""Archives as codeload streams them: a repository's tree through git archive, or a generated one of any size."""
import random
import stat
import subprocess
import zipfile

PIECE = 64 * 1024
DOCKERFILE = "FROM scratch\nCOPY . /\n"


class Pipe:
    """A file that cannot seek, over a function that takes bytes; zipfile then writes data descriptors."""

    def __init__(self, send):
        self._send = send
        self._held = bytearray()

    def write(self, data):
        self._held += data
        if len(self._held) >= PIECE:
            self.flush()
        return len(data)

    def flush(self):
        if self._held:
            self._send(bytes(self._held))
            self._held.clear()


def from_git(repository, sha, folder, send):
    """Stream `git archive` of the commit under one top folder; Unix modes and links are kept."""
    process = subprocess.Popen(["git", "--git-dir", repository, "archive", "--format=zip", f"--prefix={folder}/", sha],
                               stdout=subprocess.PIPE)
    try:
        while piece := process.stdout.read(PIECE):
            send(piece)
        if process.wait() != 0:
            raise OSError(f"git archive ended with {process.returncode}")
    finally:
        process.stdout.close()
        if process.poll() is None:
            process.kill()
            process.wait()


def generated(order, sha, folder, send):
    """Stream a made-up archive: {"kind": "bytes", "size": n}, {"kind": "files", "count": n} or {"kind": "empty"}.

    All but the empty one have a Dockerfile at the top, so that a build of them can succeed.
    """
    pipe = Pipe(send)
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        archive.comment = sha.encode()
        _add_folder(archive, folder + "/")
        if order["kind"] != "empty":
            archive.writestr(_entry(f"{folder}/Dockerfile"), DOCKERFILE)
        if order["kind"] == "bytes":
            _add_noise(archive, f"{folder}/blob.bin", order["size"], order.get("seed", 1))
        if order["kind"] == "files":
            for number in range(order["count"]):
                archive.writestr(_entry(f"{folder}/files/{number // 1000:04}/{number:06}.txt"), f"{number}\n")
    pipe.flush()


def _entry(name, mode=0o644):
    entry = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
    entry.create_system = 3
    entry.external_attr = (stat.S_IFREG | mode) << 16
    return entry


def _add_folder(archive, name):
    entry = _entry(name)
    entry.external_attr = (stat.S_IFDIR | 0o755) << 16 | 0x10
    archive.writestr(entry, b"")


def _add_noise(archive, name, size, seed):
    """Bytes that do not compress, the same for the same seed; one block is drawn once and rotated."""
    block = random.Random(seed).randbytes(1 << 20)
    entry = _entry(name)
    entry.file_size = size
    with archive.open(entry, "w", force_zip64=size >= 1 << 31) as file:
        written = 0
        while written < size:
            turn = (written >> 20) % len(block)
            piece = (block[turn:] + block[:turn])[:size - written]
            file.write(piece)
            written += len(piece)


def short_folder(full_name, sha):
    owner, name = full_name.split("/")
    return f"{owner}-{name}-{sha[:7]}"
