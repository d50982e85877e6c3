/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Records which system calls each container makes: a bit for each in its slot. */
#pragma once
#include "slots.h"

/* Whether a task is in a call of the machine's narrower form. */
INLINE int is_narrow(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return task->thread_info.status & 2; /* TS_COMPAT */
#elif defined(__TARGET_ARCH_arm64)
	return !!(task->thread_info.flags & (1 << 22)); /* TIF_32BIT */
#else
	return 0;
#endif
}

INLINE u32 abi_of(struct task_struct *task, u64 *number)
{
	if (is_narrow(task))
		return COMPAT;
#if defined(__TARGET_ARCH_x86)
	if (*number & 0x40000000) { /* __X32_SYSCALL_BIT */
		*number &= ~0x40000000ULL;
		return X32;
	}
#endif
	return NATIVE;
}

/* Records a call that is perhaps new. */
static __attribute__((noinline)) int note(u64 number)
{
	struct task_struct *task = get_current_task_btf();
	struct slot *slot = any_slot_of(task);
	u64 bit, *word;
	u32 place, abi;

	if (!slot)
		return 0;
	if (slot->state == HOST && !host_proxy)
		is_host(slot->ns);
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
	/* What the host does is noted as well, and read by nobody: it is not looked at again. */
	if (slot->state != HOST && !is_workload(task, namespace_of(task))) {
		word = &slot->setup[abi][place];
		if (*word & bit)
			return 0;
	}
	__sync_fetch_and_or(word, bit);
	slot->newest = ktime_get_ns();
	return 0;
}

/* Each call of each process comes through here: what is not new is found out with as little as possible, and nothing of
 * what is done otherwise is in this function, as it would have to save registers for that. */
SEC("raw_tp/sys_enter")
int sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	u64 number = ctx->args[1];
	struct task_struct *task = get_current_task_btf();
	struct nsproxy *nsproxy = task->nsproxy;
	struct slot *slot;
	u64 id;

	if ((u64)nsproxy == *(volatile u64 *)&host_proxy)
		return 0;
	id = namespace_id(nsproxy->mnt_ns);
	slot = slot_at(place_of(id));
	/* There are more than 16 words of bits. */
	if (slot && slot->ns == id && number < WORDS * 64 && !is_narrow(task) &&
	    slot->workload[NATIVE][number / 64 & 15] >> (number & 63) & 1)
		return 0;
	return note(number);
}

/* What a filter refuses never gets to sys_enter, which comes after it, and yet leaves through here: a call that failed
 * as a filter lets calls fail, and that was never seen to begin. */
static __attribute__((noinline)) int note_failed(const struct pt_regs *regs, long result)
{
	struct task_struct *task = get_current_task_btf();
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

SEC("raw_tp/sys_exit")
int sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	long result = (long)ctx->args[1];

	if (result >= 0)
		return 0;
	return note_failed((const void *)ctx->args[0], result);
}
