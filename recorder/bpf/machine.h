/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What differs from machine to machine: where a call's number and arguments are, and how its ABI is told. */
#pragma once
#include "kernel.h"

enum abi { NATIVE, COMPAT, X32, ABIS };

#if defined(__TARGET_ARCH_x86)

/* The registers that a call begins with. */
struct pt_regs {
	unsigned long r10, r9, r8, bp, bx, cx, dx, si, di, orig_ax, ip;
} CORE;

/* Whether a task is in a call of the machine's narrower form. */
INLINE int is_narrow(struct task_struct *task)
{
	return task->thread_info.status & 2; /* TS_COMPAT */
}

/* Whether a call is surely of the machine's wider form, as far as its registers tell: there the processor has kept where
 * to return to in rcx as well. That is the second argument of the narrower form's calls: none of them gets its own place
 * in the program as that, but from somebody who wants it to be taken for another call of his own. */
INLINE int is_surely_native(const struct pt_regs *regs)
{
	return regs->cx == regs->ip;
}

/* Whether a call may be unshare(2) or setns(2), in one of the ABIs, whichever it is of. Numbers of x32 are larger. */
INLINE int may_move(u64 number)
{
	return number == 272 || number == 308 || number == 310 || number == 346;
}

INLINE u64 number_of(const struct pt_regs *regs)
{
	return regs->orig_ax;
}

INLINE u64 instruction_of(const struct pt_regs *regs)
{
	return regs->ip;
}

INLINE u64 argument(const struct pt_regs *regs, u32 abi, int which)
{
	if (abi == COMPAT) {
		switch (which) {
		case 0: return (u32)regs->bx;
		case 1: return (u32)regs->cx;
		case 2: return (u32)regs->dx;
		case 3: return (u32)regs->si;
		case 4: return (u32)regs->di;
		default: return (u32)regs->bp;
		}
	}
	switch (which) {
	case 0: return regs->di;
	case 1: return regs->si;
	case 2: return regs->dx;
	case 3: return regs->r10;
	case 4: return regs->r8;
	default: return regs->r9;
	}
}

#elif defined(__TARGET_ARCH_arm64)

struct pt_regs {
	u64 regs[31];
	u64 pc;
	u64 pstate;
	u64 orig_x0;
	s32 syscallno;
} CORE;

INLINE int is_narrow(struct task_struct *task)
{
	return !!(task->thread_info.flags & (1 << 22)); /* TIF_32BIT */
}

INLINE int is_surely_native(const struct pt_regs *regs)
{
	return !(regs->pstate & 0x10); /* PSR_MODE32_BIT */
}

INLINE int may_move(u64 number)
{
	return number == 97 || number == 268 || number == 337 || number == 375;
}

INLINE u64 number_of(const struct pt_regs *regs)
{
	return (u32)regs->syscallno;
}

INLINE u64 instruction_of(const struct pt_regs *regs)
{
	return regs->pc;
}

INLINE u64 argument(const struct pt_regs *regs, u32 abi, int which)
{
	return which == 0 ? regs->orig_x0 : regs->regs[which];
}

#elif defined(__TARGET_ARCH_riscv)

struct pt_regs {
	unsigned long epc, a1, a2, a3, a4, a5, a7, orig_a0;
} CORE;

INLINE int is_narrow(struct task_struct *task)
{
	return 0;
}

INLINE int is_surely_native(const struct pt_regs *regs)
{
	return 1;
}

INLINE int may_move(u64 number)
{
	return number == 97 || number == 268;
}

INLINE u64 number_of(const struct pt_regs *regs)
{
	return regs->a7;
}

INLINE u64 instruction_of(const struct pt_regs *regs)
{
	return regs->epc;
}

INLINE u64 argument(const struct pt_regs *regs, u32 abi, int which)
{
	switch (which) {
	case 0: return regs->orig_a0;
	case 1: return regs->a1;
	case 2: return regs->a2;
	case 3: return regs->a3;
	case 4: return regs->a4;
	default: return regs->a5;
	}
}

#else
#error "what does a call look like on this machine?"
#endif

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
