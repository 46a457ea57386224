"""A disk that is as slow as an experiment says, by the best means at hand.

    loop    ext4 on a loop device on slowfs: all of a real file system (root)
    fuse    slowfs itself; what RWF_NOWAIT says can't be tested there
    delay   Weir's own DebugDiskDelay, a test build's directive; nothing queues

Each is undone by the ExitStack it is given.  What can't be had raises Absent.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import time

from . import files, machine
from .trouble import Absent

LEVELS = ("loop", "fuse", "delay")
READ_AHEAD_KIB = 128
CGROUPS = pathlib.Path("/sys/fs/cgroup")


def open_disk(level, spec, setup, stack):
    """The disk of a level, or of the best one if level is None.

    setup: .experiment, .tools, .cache (a folder that is kept), .tmp,
    .has_delay (weir has DebugDiskDelay).
    @return (disk, reasons why better ones could not be had).
    """
    reasons = []
    makers = {"loop": LoopDisk, "fuse": FuseDisk, "delay": DelayDisk}
    for one in [level] if level else LEVELS:
        attempt = contextlib.ExitStack()
        try:
            with attempt:
                disk = makers[one](spec, setup, attempt)
                stack.push(attempt.pop_all())
                return disk, reasons
        except Absent as why:
            reasons.append(f"{one}: {why}")
    raise Absent("no slow disk can be had; " + "; ".join(reasons))


def run(*command):
    """A command that sets something up; what it says is why it can't be."""
    try:
        done = subprocess.run([str(c) for c in command], check=False,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT)
    except FileNotFoundError:
        raise Absent(f"{command[0]} is not installed") from None
    if done.returncode != 0:
        raise Absent(f"{command[0]}: {done.stdout.strip() or 'failed'}")
    return done.stdout.strip()


def unmount(path):
    for _ in range(50):
        done = subprocess.run(["umount", str(path)], check=False,
                              stderr=subprocess.DEVNULL)
        if done.returncode == 0 or not os.path.ismount(path):
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", str(path)], check=False)


def digest(setup):
    """A name for the files of an experiment; the same files, the same name."""
    kinds = [(k.name, k.count, k.bytes)
             for k in setup.experiment.documents.values()]
    text = json.dumps([kinds, setup.experiment.seed])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def plain_files(setup):
    """The documents in a folder that is kept from run to run."""
    folder = setup.cache / f"files-{digest(setup)}"
    if not (folder / ".whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        files.make(setup.experiment.documents.values(), folder,
                   setup.experiment.seed)
        (folder / ".whole").touch()
    return folder


def evict(root):
    """Drop what the page cache holds of the files below a folder."""
    for folder, _, names in os.walk(root):
        for name in names:
            fd = os.open(os.path.join(folder, name), os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


class Slowfs:
    """slowfs at work on a folder."""

    def __init__(self, source, mount, spec, setup, stack, *options):
        if not setup.tools.get("slowfs"):
            raise Absent("slowfs could not be built: "
                         + setup.tools.get("slowfs_why", "libfuse3-dev?"))
        mount.mkdir(exist_ok=True)
        self.mount = mount
        words = [f"src={source}", f"seek_us={spec.seek_us}",
                 f"bps={spec.bytes_per_second}", f"heads={spec.heads}",
                 *options]
        process = subprocess.Popen(
            [setup.tools["slowfs"], "-f", "-o", ",".join(words), mount],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=machine.dies_with_us)
        stack.callback(self.end, process)
        self.process = process
        while not os.path.ismount(mount):
            if process.poll() is not None:
                said = process.stderr.read().decode().strip()
                raise Absent(f"slowfs: {said or 'no mount'}")
            time.sleep(0.01)

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stderr.close()

    def counters(self):
        return json.loads((self.mount / ".slowfs").read_text())


class LoopDisk:
    """ext4, on a loop device, on an image, on slowfs."""
    level = "loop"
    is_marked = False
    directives = []

    def __init__(self, spec, setup, stack):
        if os.geteuid() != 0:
            raise Absent("only root can mount")
        self.spec, self.stack, self.setup = spec, stack, setup
        folder = self.make_image()
        self.slow = Slowfs(folder, setup.tmp / "slow", spec, setup, stack,
                           "direct", "write")
        self.root = setup.tmp / "disk"
        self.root.mkdir(exist_ok=True)
        self.root.chmod(0o755)
        self.mount()
        stack.callback(self.unmount)

    def make_image(self):
        """The image in a folder of its own, which is kept."""
        folder = self.setup.cache / f"image-{digest(self.setup)}"
        image = folder / "disk.img"
        if not image.exists():
            source = plain_files(self.setup)
            folder.mkdir(parents=True, exist_ok=True)
            new = folder / "new.img"
            new.unlink(missing_ok=True)
            run("mke2fs", "-q", "-t", "ext4", "-E",
                "lazy_itable_init=0,lazy_journal_init=0", "-d", source, new,
                f"{self.spec.image_mib}M")
            new.rename(image)
        return folder

    def mount(self):
        # By -o loop the device goes with the mount, whoever ends that.
        run("mount", "-t", "ext4", "-o", "loop,ro,noload,noatime",
            self.slow.mount / "disk.img", self.root)
        device = run("findmnt", "-n", "-o", "SOURCE", self.root)
        run("losetup", "--direct-io=on", device)
        queue = pathlib.Path("/sys/block", pathlib.Path(device).name, "queue")
        with contextlib.suppress(OSError):
            (queue / "read_ahead_kb").write_text(str(READ_AHEAD_KIB))

    def unmount(self):
        unmount(self.root)

    def prepare(self):
        """Nothing of it is in memory; with `fresh`, no name either."""
        if self.spec.fresh:
            self.unmount()
            self.mount()
        else:
            evict(self.root)

    def counters(self):
        return self.slow.counters()

    def describe(self):
        arms = f"{self.spec.heads} head{'s' * (self.spec.heads != 1)}"
        return (f"ext4 on a loop device on slowfs: seek "
                f"{self.spec.seek_us / 1000:g} ms, "
                f"{self.spec.bytes_per_second / 1e6:g} MB/s, {arms}"
                + (", mounted anew before each run" * self.spec.fresh))


class FuseDisk:
    """slowfs with the documents themselves."""
    level = "fuse"
    is_marked = True
    directives = []

    def __init__(self, spec, setup, stack):
        if spec.fresh:
            raise Absent("cold names need an ext4 of our own")
        self.spec = spec
        options = ["allow_other"] if os.geteuid() == 0 else []
        self.slow = Slowfs(plain_files(setup), setup.tmp / "slow", spec,
                           setup, stack, *options)
        self.root = self.slow.mount

    def prepare(self):
        evict(self.root)

    def counters(self):
        return self.slow.counters()

    def describe(self):
        return (f"slowfs (FUSE) alone: seek {self.spec.seek_us / 1000:g} ms, "
                f"{self.spec.heads} heads; no file is known to be in memory "
                "there, so all are asked of helpers")


class DelayDisk:
    """The plain disk, and Weir's own delay before it is read."""
    level = "delay"
    is_marked = True

    def __init__(self, spec, setup, stack):
        del stack
        if spec.fresh:
            raise Absent("cold names need an ext4 of our own")
        if not setup.has_delay:
            raise Absent("this weir has no mod_delay (configure "
                         "--enable-test-hooks)")
        self.spec = spec
        self.root = plain_files(setup)
        self.directives = ["LoadModule delay_module modules/mod_delay.so",
                           f"DebugDiskDelay {spec.seek_us // 1000}ms"]

    def prepare(self):
        evict(self.root)

    def counters(self):
        return {}

    def describe(self):
        return (f"no disk: Weir itself waits {self.spec.seek_us / 1000:g} ms "
                "for what is not in memory (DebugDiskDelay); nothing queues, "
                "so the disk is as wide as the pool")


class MemoryGroup:
    """A cgroup, of version 1 or 2, that bounds memory and page cache."""

    def __init__(self, mib, stack):
        name = f"weir-compare-{os.getpid()}"
        self.is_v1 = (CGROUPS / "memory" / "memory.limit_in_bytes").exists()
        if not self.is_v1 and "memory" not in machine.read(
                CGROUPS / "cgroup.subtree_control").split():
            raise Absent("there is no memory cgroup")
        self.folder = (CGROUPS / "memory" if self.is_v1 else CGROUPS) / name
        limit = "memory.limit_in_bytes" if self.is_v1 else "memory.max"
        try:
            self.folder.mkdir()
            stack.callback(self.remove)
            (self.folder / limit).write_text(str(mib << 20))
        except OSError as error:
            raise Absent(f"memory cgroup: {error.strerror}") from error

    def wrapper(self):
        """A command's beginning, by which it joins the group."""
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"',
                str(self.folder / "cgroup.procs")]

    def empty(self):
        """Forget the pages of a server that has ended."""
        with contextlib.suppress(OSError):
            if self.is_v1:
                (self.folder / "memory.force_empty").write_text("0")
            else:
                (self.folder / "memory.reclaim").write_text("1G")

    def remove(self):
        self.empty()
        for _ in range(50):
            try:
                self.folder.rmdir()
                return
            except OSError:
                time.sleep(0.1)
