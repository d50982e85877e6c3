/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Records which system calls each container makes: a bit for each in its slot. */
#pragma once
#include "stacks.h"

/* Records a call that is perhaps new. */
APART int note(u64 number, u64 registers)
{
	struct task_struct *task = get_current_task_btf();
	struct slot *slot = any_slot_of(task);
	u64 bit, *word;
	u32 place, abi;

	if (!slot)
		return 0;
	note_stack(task, registers, slot, number);
	/* What the host does is read by nobody. */
	if (slot->state == HOST)
		return 0;
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
	if (!is_workload(task, namespace_of(task))) {
		word = &slot->setup[abi][place];
		if (*word & bit)
			return 0;
	}
	__sync_fetch_and_or(word, bit);
	slot->newest = ktime_get_ns();
	return 0;
}

/* Each call of each process comes through here: what is not new is found out with as little as possible and without a
 * call, and nothing of what is done otherwise is in this function, as it would have to save registers for that. */
SEC("tp_btf/sys_enter")
int sys_enter(u64 *ctx)
{
	const struct pt_regs *regs = (void *)ctx[0];
	u64 number = ctx[1];
	u64 registers = address_of(regs);
	u64 *known = known_of(registers);
	struct slot *slot;
	u64 place;

	if (!known)
		return 0;
	place = *(volatile u64 *)known ^ known_as(registers);
	if (place <= OF_HOST && number < WORDS * 64 && !may_move(number)) {
		if (place == OF_HOST)
			return 0;
		slot = slot_at((u32)place);
		if (!slot)
			return 0;
		/* There are more than 16 words of bits. */
		if (slot->workload[NATIVE][number / 64 & 15] >> (number & 63) & 1 && is_surely_native(regs))
			return 0;
	}
	return note(number, registers);
}

/* What a filter refuses never gets to sys_enter, which comes after it, and yet leaves through here: a call that failed
 * as a filter lets calls fail, and that was never seen to begin. */
static __attribute__((noinline)) int note_failed(const struct pt_regs *regs, long result)
{
	struct task_struct *task = get_current_task_btf();
	struct mnt_namespace *ns;
	struct slot *slot;
	u64 number, bit;
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
	number = number_of(regs);
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

SEC("tp_btf/sys_exit")
int sys_exit(u64 *ctx)
{
	long result = (long)ctx[1];

	if (result >= 0)
		return 0;
	return note_failed((const void *)ctx[0], result);
}
