/* The first process of an emulated machine: loads the recorder's programs, puts a workload under them, and tells in lines
 * what they have kept. Nothing of it is needed where cargo builds for the machine. */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define OBJECT "/recorder.bpf.o"
#define MANY 128

/* struct call of bpf/access_name.h, and how many there are */
#define CALL 12
#define CALLS (3 * 1024)
/* struct event of bpf/access_event.h, without its text */
#define HEAD 56
#define SLOT 1024
#define SLOTS 16384
/* The entry of bpf/stacks.h that says that forks are seen. */
#define ALLOWED 16384

static int silent(enum libbpf_print_level level, const char *format, va_list values)
{
	return 0;
}

static struct bpf_object *opened(void)
{
	struct bpf_object *object = bpf_object__open_file(OBJECT, 0);

	if (!object)
		printf("FAILED to open %s\n", OBJECT);
	return object;
}

static int map(struct bpf_object *object, const char *name)
{
	return bpf_object__find_map_fd_by_name(object, name);
}

static void hex(const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		printf("%02x", bytes[i]);
}

/* The kind of an event, how something is used, and what. */
static int event(void *context, void *data, size_t size)
{
	const unsigned char *bytes = data;

	printf("EVENT %u %u %.*s\n", bytes[20] | bytes[21] << 8, bytes[22] | bytes[23] << 8,
	       size > HEAD ? (int)(size - HEAD) : 0, (const char *)bytes + HEAD);
	return 0;
}

/* Whether the kernel takes a program, with all others left out. */
static int is_taken(const char *name)
{
	struct bpf_object *object = opened();
	struct bpf_program *program;
	int taken;

	if (!object)
		return 0;
	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, !strcmp(bpf_program__name(program), name));
	taken = !bpf_object__load(object);
	bpf_object__close(object);
	return taken;
}

static void workload(void)
{
	pid_t child = fork();
	int status = 0;

	if (!child) {
		unshare(CLONE_NEWNS);
		execl("/work", "work", (char *)0);
		_exit(127);
	}
	waitpid(child, &status, 0);
	printf("ENDED %d %d\n", child, status);
}

static void slots(int map)
{
	static unsigned char slot[SLOT];

	for (unsigned i = 0; i < SLOTS; i++) {
		unsigned long long namespace = 0;

		if (bpf_map_lookup_elem(map, &i, slot))
			continue;
		memcpy(&namespace, slot, sizeof(namespace));
		if (!namespace)
			continue;
		printf("SLOT ");
		hex(slot, SLOT);
		printf("\n");
	}
}

static void record(char taken[MANY][64], int count)
{
	struct bpf_object *object = opened();
	struct bpf_program *program;
	struct ring_buffer *ring;
	unsigned char call[CALL];
	unsigned allowed = ALLOWED;
	unsigned long long yes = 1;
	int table = open("/calls", O_RDONLY), all = 1;

	if (!object)
		return;
	bpf_object__for_each_program(program, object) {
		int load = 0;

		for (int i = 0; i < count; i++)
			load |= !strcmp(taken[i], bpf_program__name(program));
		/* Tracepoints tell of all that hooks would. */
		load &= strncmp(bpf_program__name(program), "hook_", 5) && strncmp(bpf_program__name(program), "selinux", 7);
		bpf_program__set_autoload(program, load);
	}
	if (bpf_object__load(object)) {
		printf("FAILED to load all together\n");
		return;
	}
	for (unsigned i = 0; i < CALLS && read(table, call, CALL) == CALL; i++)
		bpf_map_update_elem(map(object, "access_calls"), &i, call, 0);
	ring = ring_buffer__new(bpf_map__fd(bpf_object__find_map_by_name(object, "access_events")), event, 0, 0);
	bpf_object__for_each_program(program, object)
		if (bpf_program__fd(program) >= 0)
			all &= !!bpf_program__attach(program);
	if (!ring || !all || bpf_map_update_elem(map(object, "stacks"), &allowed, &yes, 0)) {
		printf("FAILED to run all\n");
		return;
	}
	workload();
	ring_buffer__consume(ring);
	slots(map(object, "slots"));
}

int main(void)
{
	static char names[MANY][64], taken[MANY][64];
	struct bpf_object *object;
	struct bpf_program *program;
	int count = 0, of = 0;

	setvbuf(stdout, 0, _IOLBF, 0);
	mount("proc", "/proc", "proc", 0, 0);
	mount("sys", "/sys", "sysfs", 0, 0);
	mount("tmp", "/tmp", "tmpfs", 0, 0);
	libbpf_set_print(silent);
	object = opened();
	if (object) {
		bpf_object__for_each_program(program, object)
			if (of < MANY)
				strncpy(names[of++], bpf_program__name(program), 63);
		bpf_object__close(object);
	}
	for (int i = 0; i < of; i++) {
		int is = is_taken(names[i]);

		printf("%s %s\n", is ? "TAKEN" : "REFUSED", names[i]);
		if (is)
			strcpy(taken[count++], names[i]);
	}
	record(taken, count);
	printf("DONE\n");
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	return 0;
}
