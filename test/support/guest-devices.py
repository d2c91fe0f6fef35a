# Asks a guest's kernel for devices and rules by its system calls: the image has no iproute2, nft or iptables.
import ctypes, fcntl, json, os, socket, struct

NLM_REQUEST, NLM_ACK, NLM_CREATE = 1, 4, 0x400
# xt_MASQUERADE wants to be in a table of this name.
TABLE = "nat"
answers = {}


def attr(kind, value):
    data = struct.pack("=HH", 4 + len(value), kind) + value
    return data + bytes(-len(data) % 4)


def nest(kind, value):
    return attr(kind | 0x8000, value)


def message(kind, flags, body):
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body


def talk(protocol, data):
    """The first error of the answers, or ok."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as link:
        link.settimeout(5)
        link.bind((0, 0))
        link.send(data)
        answer = link.recv(65536)
    length, kind = struct.unpack_from("=IH", answer)
    code = struct.unpack_from("=i", answer, 16)[0] if kind == 2 else 0
    return "ok" if code == 0 else os.strerror(-code)


def attempt(name, work):
    try:
        answers[name] = work() or "ok"
    except OSError as error:
        answers[name] = str(error)


def make_link(kind):
    body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + attr(3, f"test-{kind}\0".encode()) + nest(18, attr(1, kind.encode() + b"\0"))
    return talk(socket.NETLINK_ROUTE, message(16, NLM_REQUEST | NLM_ACK | NLM_CREATE, body))


def nft(*commands):
    """A batch of nf_tables, which the kernel takes whole or not at all; the last message asks for the answer."""
    batch = lambda kind: message(kind, NLM_REQUEST, struct.pack("=BBH", 0, 0, socket.htons(10)))
    body = lambda kind, attrs, flags: message(
        10 << 8 | kind, NLM_REQUEST | NLM_CREATE | flags, struct.pack("=BBH", socket.AF_INET, 0, 0) + attrs
    )
    data = batch(16)
    for index, (kind, attrs) in enumerate(commands):
        data += body(kind, attrs, NLM_ACK if index == len(commands) - 1 else 0)
    return talk(12, data + batch(17))


def text(kind, value):
    return attr(kind, value.encode() + b"\0")


def number(kind, value):
    return attr(kind, struct.pack(">I", value))


def rule(expression, data=b""):
    return 6, text(1, TABLE) + text(2, "c") + nest(4, nest(1, text(1, expression) + (nest(2, data) if data else b"")))


table = (0, text(1, TABLE))
chain = (3, text(1, TABLE) + text(3, "c") + nest(4, number(1, 4) + number(2, 100)) + text(7, "nat"))
# xt_MASQUERADE by way of nft_compat, as iptables-nft asks for it: revision 0, one range.
target = text(1, "MASQUERADE") + number(2, 0) + attr(3, struct.pack("=I", 1) + bytes(16))


def tun():
    with open("/dev/net/tun", "rb+", buffering=0) as device:
        fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", b"tun7", 0x1001))


def syscall(number, *args):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *args) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


attempt("bridge", lambda: make_link("bridge"))
attempt("veth", lambda: make_link("veth"))
attempt("tun", tun)
attempt("/dev/fuse", lambda: os.close(os.open("/dev/fuse", os.O_RDWR)))
attempt("vsock", lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close())
attempt("nft table", lambda: nft(table))
attempt("nft chain", lambda: nft(chain))
attempt("nft masquerade", lambda: nft(rule("masq")))
attempt("nft compat", lambda: nft(rule("target", target)))
attempt("nft nonsense", lambda: nft(rule("nonsense")))
attempt("conntrack", lambda: None if os.path.exists("/proc/sys/net/netfilter/nf_conntrack_max") else "is missing")
attempt("io_uring", lambda: syscall(425, 4, ctypes.create_string_buffer(120)))
attempt("landlock", lambda: syscall(444, None, 0, 1))
print(json.dumps(answers))
