/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Accesses by the system calls that make them, at their end: where the kernel has a file, its path is found from that. */
#pragma once
#include "access_mount.h"
#include "access_other.h"
#include "access_unix.h"

/* Whether fcntl(2) is for a lock: F_SETLK, F_SETLKW; for 32 bits F_SETLK64, F_SETLKW64; F_OFD_SETLK, F_OFD_SETLKW;
 * F_SETLEASE. */
INLINE int is_lock(u64 command)
{
	return command == 6 || command == 7 || command == 13 || command == 14 || command == 37 || command == 38 ||
	       command == 1024;
}

/* The file that a call was for, and the ways in which it was used. */
INLINE struct file *used_file(struct task_struct *task, const struct pt_regs *regs, u32 abi, u32 action, long result,
			      u32 *ways)
{
	u64 protection;
	struct file *file;

	switch (action) {
	case OPENS:
		if (result < 0)
			return 0;
		file = file_of(task, result);
		*ways = file ? ways_of(file) : 0;
		return file;
	case MAPS:
		protection = argument(regs, abi, 2);
		if ((u64)result >= -4095ULL || !(protection & 4) || argument(regs, abi, 3) & 0x20)
			return 0; /* PROT_EXEC, MAP_ANONYMOUS */
		*ways = USE_MAP_EXEC | (protection & 1 ? USE_READ : 0);
		return file_of(task, argument(regs, abi, 4));
	case CONTROLS:
		if (!is_lock(argument(regs, abi, 1)))
			return 0;
		/* fallthrough */
	case LOCKS:
		if (result && result != -11) /* EAGAIN: it may, but has to wait */
			return 0;
		*ways = USE_LOCK;
		return file_of(task, argument(regs, abi, 0));
	case PROTECTS:
		protection = argument(regs, abi, 2);
		if (result || !(protection & 4))
			return 0;
		*ways = USE_MAP_EXEC | (protection & 1 ? USE_READ : 0);
		return file_at(task, argument(regs, abi, 0));
	case CHANGES:
		if (result)
			return 0;
		*ways = USE_WRITE;
		return file_of(task, argument(regs, abi, 0));
	}
	return 0;
}

/* What a mount that was made by pieces was moved to: the number stands for it, and its path is where it is now. */
INLINE void tell_moved(u64 ns, u64 number)
{
	struct task_struct *task = get_current_task_btf();
	struct file *file = file_of(task, number);
	struct file_system_type *type = 0;
	struct super_block *super = 0;
	struct vfsmount *mnt = 0;
	struct dentry *root = 0;
	const char *name = 0;
	struct scratch *scratch;
	long length;

	if (!file)
		return;
	READ(mnt, file, f_path.mnt);
	READ(root, mnt, mnt_root);
	READ(super, mnt, mnt_sb);
	READ(type, super, s_type);
	READ(name, type, name);
	scratch = take();
	if (!scratch)
		return;
	begin(scratch, task, ns, MOUNT, 1);
	if (!put_path(scratch, root, mnt))
		goto lost;
	length = probe_read_kernel_str(&scratch->text[MIDDLE], 64, name);
	if (length <= 1 || length > 64)
		goto lost;
	scratch->event.parts[2] = length - 1;
	scratch->end = MIDDLE + length - 1;
	tell(scratch);
	give_back(scratch);
	return;
lost:
	lose(LOST_ACCESSES);
	give_back(scratch);
}

APART int mounts(u32 abi, u32 place, u64 ns)
{
	const struct pt_regs *regs = task_pt_regs(get_current_task_btf());
	struct call *call = map_lookup(&access_calls, &place);
	u64 arguments[4];

	if (!call)
		return 0;
	for (int i = 0; i < 4; i++)
		arguments[i] = argument(regs, abi, i);
	if (call->action == MOVES_MOUNT)
		tell_moved(ns, arguments[0]);
	else
		tell_mount(ns, call->action == MOUNTS ? MOUNT : call->action == UNMOUNTS ? UMOUNT : PIVOT_ROOT,
			   call->action == MOUNTS ? arguments[1] : arguments[0],
			   call->action == MOUNTS ? arguments[0] : call->action == PIVOTS ? arguments[1] : 0,
			   call->action == MOUNTS ? arguments[2] : 0, call->action == MOUNTS ? arguments[3] : 0);
	return 0;
}

/* What was done to a process that is known by a number: where all processes that can be seen are those of the container,
 * it is one of them. */
APART int processes(u32 abi, u32 place, u64 ns)
{
	struct task_struct *task = get_current_task_btf();
	const struct pt_regs *regs = task_pt_regs(task);
	struct call *call = map_lookup(&access_calls, &place);
	struct task_struct *parent = task->real_parent;
	struct pid *pid = task->thread_pid;
	u32 inside = pid && pid->level;
	u64 request = argument(regs, abi, 0);

	if (!call)
		return 0;
	switch (call->action) {
	case TRACES:
		tell_number(ns, PTRACE, call->ways & USE_READ, inside, 0);
		break;
	case TRACES_BY_REQUEST:
		if (request == 16 || request == 0x4206) /* PTRACE_ATTACH, PTRACE_SEIZE */
			tell_number(ns, PTRACE, 0, inside, 0);
		else if (request == 0 && parent && is_inside(parent)) /* PTRACE_TRACEME: the parent does it */
			tell_number(ns, PTRACE, 0, 1, 0);
		break;
	case SIGNALS:
		/* Others than 0, which only asks whether it is there, are seen where they are sent. */
		if (!(u32)(call->name == 2 ? argument(regs, abi, 2) : argument(regs, abi, 1)))
			tell_number(ns, SIGNAL, 0, inside, 0);
		break;
	}
	return 0;
}

SEC("tp_btf/sys_exit")
int access_exit(u64 *context)
{
	const struct pt_regs *regs = (void *)context[0];
	long result = (long)context[1];
	struct task_struct *task = get_current_task_btf();
	u64 number = number_of(regs), ns;
	u32 abi = abi_of(task, &number), place, ways = 0;
	struct call *call;
	struct file *file;

	if (number >= CALLS || abi >= ABIS)
		return 0;
	place = abi * CALLS + number;
	call = map_lookup(&access_calls, &place);
	if (!call || !call->action)
		return 0;
	/* Most that is sent is for whom the socket is connected to. */
	if (call->action == SENDS_TO && !argument(regs, abi, 4))
		return 0;
	ns = recorded();
	if (!ns)
		return 0;
	if (call->action < NAMES) {
		file = used_file(task, regs, abi, call->action, result, &ways);
		if (file)
			tell_file(file, ways);
	} else if (call->action <= NAMES_TWO) {
		if (!result || result == -1 || result == -13) /* EPERM, EACCES */
			names(abi, place, ns);
	} else if (call->action <= SENDS_MESSAGE) {
		sockets(abi, place, ns, result);
	} else if (call->action < TRACES) {
		if (!result || (call->action != MOVES_MOUNT && (result == -1 || result == -13)))
			mounts(abi, place, ns);
	} else if (result >= 0) {
		processes(abi, place, ns);
	}
	return 0;
}
