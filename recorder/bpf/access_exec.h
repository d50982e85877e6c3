/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Programs that were started: the program, the script that named it, and what the kernel maps into it to link it. */
#pragma once
#include "access_call.h"

/* The name that a program was started by, as the kernel has it. */
APART int tell_script(u64 name, u64 ns)
{
	struct task_struct *task = get_current_task_btf();
	struct scratch *scratch = take();
	long length;

	if (!scratch)
		return 0;
	begin(scratch, task, ns, NAMED, USE_EXEC);
	scratch->event.flags = FOLLOWED;
	length = probe_read_kernel_str(&scratch->text[MIDDLE], PATH, (void *)name);
	if (length <= 1 || length > PATH)
		goto lost;
	length--;
	if (!put_base(scratch, AT_FDCWD, scratch->text[MIDDLE]))
		goto lost;
	scratch->event.parts[0] = length;
	scratch->end = MIDDLE + length;
	tell(scratch);
	give_back(scratch);
	return 0;
lost:
	lose(LOST_ACCESSES);
	give_back(scratch);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int access_exec(u64 *context)
{
	struct task_struct *task = get_current_task_btf();
	struct linux_binprm *program = (void *)context[2];
	u64 ns = recorded();
	const char *name = 0;
	struct file *linker;
	u32 ways = USE_READ | USE_MAP_EXEC;

	if (!ns)
		return 0;
	READ(name, program, filename);
	if (program->filename == program->interp)
		ways |= USE_EXEC;
	else
		tell_script((u64)name, ns);
	linker = file_at(task, instruction_of(task_pt_regs(task)));
	for (int i = 0; i < 2; i++) {
		struct file *file = i ? linker : program->file;

		if (file && (!i || linker != program->file))
			tell_file(file, i ? USE_READ | USE_MAP_EXEC : ways);
	}
	return 0;
}
