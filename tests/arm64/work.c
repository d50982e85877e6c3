/* A workload: does one thing after the other of what is recorded, and then one that a filter refuses. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

int main(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/tmp/socket" };
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ, __NR_getgroups, 0, 1),
		BPF_STMT(BPF_RET, SECCOMP_RET_ERRNO | 1),
		BPF_STMT(BPF_RET, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, filter };
	int file, one, other;

	mkdir("/tmp/made", 0700);
	rename("/tmp/made", "/tmp/moved");
	rmdir("/tmp/moved");
	file = open("/tmp/file", O_WRONLY | O_CREAT, 0600);
	write(file, "x", 1);
	symlink("/tmp/file", "/tmp/link");
	one = socket(AF_UNIX, SOCK_STREAM, 0);
	other = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(one, (struct sockaddr *)&address, sizeof(address));
	listen(one, 1);
	connect(other, (struct sockaddr *)&address, sizeof(address));
	mount("none", "/srv", "tmpfs", 0, "");
	umount("/srv");
	signal(SIGUSR1, SIG_IGN);
	kill(getpid(), SIGUSR1);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
	return syscall(__NR_getgroups, 0, 0) == -1 ? 5 : 6;
}
