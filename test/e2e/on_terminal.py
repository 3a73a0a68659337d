#!/usr/bin/python3
"""on_terminal.py COMMAND…: runs it on a pseudo-terminal and plays the steps that stand on stdin, one per line.

    < REGEX         wait until this was printed (since the last match)
    > TEXT          type TEXT and Enter              (\\xNN, \\t and the like are understood)
    key TEXT        type TEXT alone: key \\x03
    size ROWS COLS  resize the terminal
    signal NAME     send it to COMMAND: signal INT
    code N          wait for the end; the exit code must be N
    cooked          the terminal must be set as it was at the beginning
    within MS       the last step must have taken less
    lacks REGEX     this was never printed so far

Every wait has a limit of ten seconds. On failure: what was on the screen, and exit code 1. The terminal has 24 rows and
80 columns and belongs to COMMAND's session, as a login's would.
"""
import fcntl, os, pty, re, select, signal, struct, sys, termios, time

LIMIT = 10
TIOCGPTN = 0x80045430  # ioctl_tty(2): the number of the other side


class Terminal:
    def __init__(self, command):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            termios_go = os.read(0, 1)  # the parent has noted how the terminal is set
            assert termios_go == b"\n"
            os.execvp(command[0], command)
        # Held open: with its last user a terminal's settings are gone, and they are to be looked at in the end.
        number = struct.unpack("i", fcntl.ioctl(self.master, TIOCGPTN, b"\0" * 4))[0]
        self.slave = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY)
        self.start = termios.tcgetattr(self.slave)
        self.raw = self.everything = b""  # what was printed; the same without its control sequences
        self.asked = self.seen = 0
        self.took = 0.0
        self.code = None
        os.write(self.master, b"\n")

    def read(self, seconds):
        """Reads what there is, waiting so long for it; false where nothing came."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        self.raw += os.read(self.master, 65536)
        # A terminal answers the question where its cursor is; and nobody reads the rest of what controls it.
        for _ in range(self.raw.count(b"\x1b[6n") - self.asked):
            self.asked += 1
            os.write(self.master, b"\x1b[1;1R")
        self.everything = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", self.raw)
        return True

    def has_ended(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def expect(self, pattern):
        until = time.monotonic() + LIMIT
        while True:
            ended = self.has_ended()
            while self.read(0.02):
                pass
            found = re.search(pattern.encode(), self.everything[self.seen :], re.S)
            if found:
                self.seen += found.end()
                return
            if ended or time.monotonic() > until:
                raise AssertionError(f"did not see: {pattern}" + (f" (it ended with {self.code})" if ended else ""))

    def wait(self, code):
        until = time.monotonic() + LIMIT
        while not self.has_ended():
            if time.monotonic() > until:
                raise AssertionError("it does not end")
            self.read(0.01)
        while self.read(0):
            pass
        if self.code != code:
            raise AssertionError(f"exit code {self.code}, not {code}")

    def step(self, line):
        verb, _, rest = line.partition(" ")
        text = b"" if verb in ("<", "lacks") else rest.encode().decode("unicode_escape").encode("latin-1")
        if verb == "<":
            self.expect(rest)
        elif verb == ">":
            os.write(self.master, text + b"\r")
        elif verb == "key":
            os.write(self.master, text)
        elif verb == "size":
            rows, columns = map(int, rest.split())
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        elif verb == "signal":
            os.kill(self.pid, signal.Signals["SIG" + rest])
        elif verb == "code":
            self.wait(int(rest))
        elif verb == "cooked":
            if termios.tcgetattr(self.slave) != self.start:
                raise AssertionError("the terminal is not set as it was")
        elif verb == "within":
            if self.took * 1000 >= int(rest):
                raise AssertionError(f"that took {self.took * 1000:.0f} ms")
        elif verb == "lacks":
            if re.search(rest.encode(), self.everything):
                raise AssertionError(f"was not to be seen: {rest}")
        else:
            raise AssertionError("unknown step")


def main():
    steps = [line.strip("\n") for line in sys.stdin if line.strip()]
    terminal = Terminal(sys.argv[1:])
    for number, line in enumerate(steps, 1):
        begin = time.monotonic()
        try:
            terminal.step(line.lstrip())
        except AssertionError as problem:
            print(f"step {number}, '{line.strip()}': {problem}\n--- the screen:", flush=True)
            sys.stdout.buffer.write(terminal.everything + b"\n---\n")
            if terminal.code is None:
                os.kill(terminal.pid, signal.SIGKILL)
            return 1
        if not line.lstrip().startswith("within"):
            terminal.took = time.monotonic() - begin
    return 0


sys.exit(main())
