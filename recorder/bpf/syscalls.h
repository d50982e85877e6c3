/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Records which system calls each container makes: a bit for each in its slot. */
#pragma once
#include "slots.h"

INLINE u32 abi_of(struct task_struct *task, u64 *number)
{
#if defined(__TARGET_ARCH_x86)
	if (task->thread_info.status & 2) /* TS_COMPAT */
		return COMPAT;
	if (*number & 0x40000000) { /* __X32_SYSCALL_BIT */
		*number &= ~0x40000000ULL;
		return X32;
	}
#elif defined(__TARGET_ARCH_arm64)
	if (task->thread_info.flags & (1 << 22)) /* TIF_32BIT */
		return COMPAT;
#endif
	return NATIVE;
}

SEC("raw_tp/sys_enter")
int sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = get_current_task_btf();
	struct mnt_namespace *ns = namespace_of(task);
	struct slot *slot;
	u64 id, number, bit, *word;
	u32 place, abi;

	if (!ns)
		return 0;
	id = namespace_id(ns);
	place = place_of(id);
	slot = slot_at(place);
	if (!slot)
		return 0;
	if (slot->ns != id) {
		slot = claim(id);
		if (!slot)
			return 0;
	}
	if (slot->state == HOST)
		return 0;
	number = ctx->args[1];
	abi = abi_of(task, &number);
	if (number >= WORDS * 64) {
		__sync_fetch_and_add(&slot->overflow, 1);
		return 0;
	}
	bit = 1ULL << (number & 63);
	place = (u32)(number >> 6) & 15;
	if (place >= WORDS || abi >= ABIS)
		return 0;
	word = &slot->workload[abi][place];
	if (*word & bit)
		return 0;
	if (!is_workload(task, ns)) {
		word = &slot->setup[abi][place];
		if (*word & bit)
			return 0;
	}
	__sync_fetch_and_or(word, bit);
	slot->newest = ktime_get_ns();
	return 0;
}

/* What a filter refuses never gets to sys_enter, which comes after it, and yet leaves through here: a call that failed
 * as a filter lets calls fail, and that was never seen to begin. */
SEC("raw_tp/sys_exit")
int sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = get_current_task_btf();
	const struct pt_regs *regs = (void *)ctx->args[0];
	long result = (long)ctx->args[1];
	struct mnt_namespace *ns;
	struct slot *slot;
	u64 number = 0, bit;
	u32 place, abi;

	/* EPERM, EACCES, ENOSYS: others are answers to calls that were under way when this began. */
	if (result != -1 && result != -13 && result != -38)
		return 0;
	if (task->seccomp.mode != 2) /* SECCOMP_MODE_FILTER */
		return 0;
	ns = namespace_of(task);
	if (!ns)
		return 0;
	slot = find(namespace_id(ns));
	if (!slot || slot->state != CONTAINER)
		return 0;
#if defined(__TARGET_ARCH_x86)
	probe_read_kernel(&number, sizeof(regs->orig_ax), __builtin_preserve_access_index(&regs->orig_ax));
#elif defined(__TARGET_ARCH_arm64)
	probe_read_kernel(&number, sizeof(regs->syscallno), __builtin_preserve_access_index(&regs->syscallno));
#else
	return 0;
#endif
	abi = abi_of(task, &number);
	bit = 1ULL << (number & 63);
	place = (u32)(number >> 6) & 15;
	if (number >= WORDS * 64 || place >= WORDS || abi >= ABIS)
		return 0;
	if ((slot->workload[abi][place] | slot->setup[abi][place] | slot->denied[abi][place]) & bit)
		return 0;
	__sync_fetch_and_or(&slot->denied[abi][place], bit);
	return 0;
}
