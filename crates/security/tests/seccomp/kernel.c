/* Puts filters before the running kernel; for tests only. For each line "COUNT CALLS" and COUNT instructions of 8 bytes on standard input, a
 * child loads them and makes CALLS calls of 64 bytes each: how (0: 64 bits, 1: by int 0x80), number, six arguments. It answers each with the
 * call's value, 8 bytes; the value is 1 << 32 if the call ended the child. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct call {
	uint64_t how, number, args[6];
};

static int64_t make(const struct call *call)
{
	const uint64_t *args = call->args;
#ifdef __x86_64__
	int64_t value;
	if (call->how == 1) {
		uint32_t narrow;
		/* The sixth argument is in ebp, which is the compiler's own. */
		__asm__ volatile("int $0x80"
				 : "=a"(narrow)
				 : "a"((uint32_t)call->number), "b"((uint32_t)args[0]), "c"((uint32_t)args[1]),
				   "d"((uint32_t)args[2]), "S"((uint32_t)args[3]), "D"((uint32_t)args[4])
				 : "memory", "r8", "r9", "r10", "r11");
		return (int32_t)narrow;
	}
	register uint64_t r10 __asm__("r10") = args[3];
	register uint64_t r8 __asm__("r8") = args[4];
	register uint64_t r9 __asm__("r9") = args[5];
	__asm__ volatile("syscall"
			 : "=a"(value)
			 : "a"(call->number), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "memory", "rcx", "r11");
	return value;
#else
	long value = syscall(call->number, args[0], args[1], args[2], args[3], args[4], args[5]);
	return value == -1 ? -errno : value;
#endif
}

static void child(struct sock_fprog *program, const struct call *calls, unsigned int count, int out)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program))
		_exit(4);
	for (unsigned int i = 0; i < count; i++) {
		int64_t value = make(&calls[i]);
		if (write(out, &value, sizeof value) != sizeof value)
			_exit(5);
	}
	_exit(0);
}

int main(void)
{
	static struct sock_filter filter[4096];
	static struct call calls[4096];
	char line[64];
	while (fgets(line, sizeof line, stdin)) {
		unsigned int length, count;
		if (sscanf(line, "%u %u", &length, &count) != 2 || length > 4096 || count > 4096)
			return 2;
		if (fread(filter, 8, length, stdin) != length || fread(calls, sizeof *calls, count, stdin) != count)
			return 2;
		struct sock_fprog program = { length, filter };
		int ends[2];
		if (pipe(ends))
			return 3;
		pid_t pid = fork();
		if (pid == 0)
			child(&program, calls, count, ends[1]);
		close(ends[1]);
		FILE *answers = fdopen(ends[0], "r");
		int64_t value;
		unsigned int got = 0;
		while (got < count && fread(&value, sizeof value, 1, answers) == 1) {
			fwrite(&value, sizeof value, 1, stdout);
			got++;
		}
		fclose(answers);
		int status;
		waitpid(pid, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status))
			return 10 + WEXITSTATUS(status);
		for (value = 1ll << 32; got < count; got++)
			fwrite(&value, sizeof value, 1, stdout);
		fflush(stdout);
	}
	return 0;
}
