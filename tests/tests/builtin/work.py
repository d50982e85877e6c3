# What programs in Python do.
import asyncio, concurrent.futures, fcntl, glob, http.server, mmap, multiprocessing, os, select, shutil, signal
import socket, sqlite3, ssl, subprocess, tempfile, threading, time, urllib.request
from multiprocessing import shared_memory


def square(number):
    return number * number


def processes():
    assert subprocess.check_output(["echo", "hi"], close_fds=True) == b"hi\n"
    assert subprocess.check_output("echo hi | cat", shell=True, start_new_session=True) == b"hi\n"
    subprocess.run(["true"], preexec_fn=lambda: os.nice(1), check=True)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(square, [1, 2]) == [1, 4]
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(square, [3])) == [9]
    memory = shared_memory.SharedMemory(create=True, size=100)
    memory.close(), memory.unlink()
    child = os.fork()
    if child == 0:
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    child = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
    signal.pidfd_send_signal(os.pidfd_open(child), signal.SIGKILL)
    assert os.waitid(os.P_PID, child, os.WEXITED).si_status == signal.SIGKILL


def threads():
    lock, got = threading.Lock(), []
    def work():
        with lock:
            got.append(sum(range(10000)))
    all_threads = [threading.Thread(target=work) for _ in range(8)]
    [thread.start() for thread in all_threads], [thread.join() for thread in all_threads]
    assert len(got) == 8


async def loop():
    server = await asyncio.start_server(lambda _, writer: (writer.write(b"x"), writer.close()), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert await reader.read() == b"x"
    writer.close(), server.close()
    child = await asyncio.create_subprocess_exec("echo", "sub", stdout=subprocess.PIPE)
    assert (await child.communicate())[0] == b"sub\n"
    await asyncio.to_thread(time.sleep, 0.001)


def network():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert urllib.request.urlopen(f"http://localhost:{server.server_port}/").status == 200
    server.shutdown()
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=localhost"
    subprocess.run(make.split(), stderr=subprocess.DEVNULL, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("cert", "key")
    listener = socket.create_server(("", 0))
    def serve():
        connection = context.wrap_socket(listener.accept()[0], server_side=True)
        connection.sendall(b"ok"), connection.close()
    threading.Thread(target=serve).start()
    client = ssl.create_default_context(cafile="cert")
    client = client.wrap_socket(socket.create_connection(listener.getsockname()), server_hostname="localhost")
    assert client.recv(5) == b"ok"
    one, other = socket.socketpair()
    socket.send_fds(one, [b"1"], [0])
    assert socket.recv_fds(other, 1, 1)[0] == b"1"
    socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"x", ("::1", 9))
    assert socket.if_nameindex()[0][1] == "lo"


def files():
    database = sqlite3.connect("database")
    database.execute("pragma journal_mode = wal"), database.execute("create table t (a)")
    database.executemany("insert into t values (?)", [(number,) for number in range(1000)])
    database.commit()
    assert database.execute("select count(*) from t").fetchone() == (1000,)
    open("a", "w").write("text")
    os.link("a", "b"), os.symlink("a", "c"), os.mkfifo("d"), os.chmod("a", 0o600), os.utime("a", (1, 1))
    os.chown("a", 65534, 65534), os.rename("b", "e"), os.truncate("e", 2), os.mkdir("f"), shutil.copy2("e", "f/g")
    shutil.copytree("f", "h"), shutil.rmtree("h"), os.listxattr("a"), os.statvfs("."), glob.glob("**", recursive=True)
    with open("a", "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX), fcntl.lockf(file, fcntl.LOCK_EX), os.fsync(file)
        os.posix_fallocate(file.fileno(), 0, 100), os.pread(file.fileno(), 4, 0), mmap.mmap(file.fileno(), 0).close()
    os.write(os.memfd_create("name"), b"x"), os.eventfd_write(os.eventfd(0), 1)


def signals():
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01), signal.pause()
    signal.sigtimedwait([signal.SIGUSR1], 0.001)
    os.sched_setaffinity(0, os.sched_getaffinity(0)), os.getloadavg(), select.epoll().close()


if __name__ == "__main__":
    os.chdir(tempfile.mkdtemp())
    processes(), threads(), asyncio.run(loop()), network(), files(), signals()
    print("all done")
