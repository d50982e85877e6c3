/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Which slot the running task has, by the kernel stack that it runs on. To ask the kernel for the task is a call, and a
 * return from one is what takes longest where processors may not guess where it leads. The registers that a system call
 * begins with lie at the end of the task's stack, so that their address tells tasks apart as well.
 *
 * What is known of a stack is forgotten when its task moves to another namespace, which it does by setns(2) and
 * unshare(2) alone, and when another task gets the stack, which begins with a fork. */
#pragma once
#include "slots.h"

/* As many stacks are known at once; of two that have the same place, the one that was used last. */
#define STACKS 16384
/* No stack is smaller. */
#define STACK_SHIFT 12
/* In place of a slot's: the task is the host's, which nobody wants to know anything of. */
#define OF_HOST SLOTS
/* How many bits that takes, and how many a place in the table. */
#define PLACE_BITS 15
#define STACK_BITS 14

/* In one word, as it must be written and read as a whole: which stack, and the place of its task's slot. The last one
 * says whether anything may be remembered: user space allows it when forks are seen. It is no pinned map, as what is
 * known holds only as long as the programs run that it comes from. */
struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(max_entries, STACKS + 1);
	UINT(map_flags, BPF_F_MMAPABLE);
	TYPE(key, u32);
	TYPE(value, u64);
} stacks SEC(".maps");

/* How far the registers' address is from the start of the stack, the same for all tasks; 0 until it is known. */
u64 registers_at;

/* The address of a call's registers as a number, from an origin of its own: the verifier makes a number of a pointer only
 * where another one is subtracted. */
INLINE u64 address_of(const struct pt_regs *regs)
{
	u64 address = (u64)regs;

	asm volatile("%0 -= %1" : "+r"(address) : "r"(&registers_at));
	return address;
}

INLINE u64 *known_of(u64 registers)
{
	u32 key = (u32)((registers >> STACK_SHIFT) * 0x9e3779b97f4a7c15ULL >> (64 - STACK_BITS));

	return map_lookup(&stacks, &key);
}

/* As it is remembered, with no place yet. */
INLINE u64 known_as(u64 registers)
{
	return registers >> STACK_SHIFT << PLACE_BITS;
}

/* Remembers the place of a task's slot, or, where that may change, forgets it. */
INLINE void note_stack(struct task_struct *task, u64 registers, const struct slot *slot, u64 number)
{
	u64 *known = known_of(registers);
	u64 start = (u64)task->stack;
	u32 last = STACKS;
	u64 *allowed;
	struct slot *first = slot_at(0);
	u64 place = (u64)slot;

	if (!known || !first)
		return;
	if (may_move(number)) {
		*known = 0;
		return;
	}
	allowed = map_lookup(&stacks, &last);
	if (!allowed || !*allowed)
		return;
	if (!registers_at)
		registers_at = registers - start;
	if (registers - start != registers_at)
		return;
	asm volatile("%0 -= %1" : "+r"(place) : "r"(first));
	place = place / sizeof(struct slot) & (SLOTS - 1);
	*known = known_as(registers) | (slot->state == HOST ? OF_HOST : place);
}

/* A stack is another task's. */
SEC("tp_btf/sched_process_fork")
int stack_given(u64 *ctx)
{
	struct task_struct *child = (void *)ctx[1];
	u64 *known = known_of((u64)child->stack + registers_at);

	if (known && registers_at)
		*known = 0;
	return 0;
}
