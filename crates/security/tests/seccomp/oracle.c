/* Asks Debian's libseccomp for filters; for tests only. Reads commands, one a line, and answers each "export" with the number of bytes and the
 * program, in the byte order of the filter's architectures. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cmp {
	unsigned int arg;
	int op;
	uint64_t a, b;
};

static void *library;

static void *get(const char *name)
{
	void *found = dlsym(library, name);
	if (!found) {
		fprintf(stderr, "no %s\n", name);
		exit(3);
	}
	return found;
}

int main(void)
{
	static char line[8192];
	static char program[1 << 20];
	void *ctx = NULL;
	int error = 0;
	library = dlopen("libseccomp.so.2", RTLD_NOW);
	if (!library) {
		const char *why = dlerror();
		fprintf(stderr, "%s\n", why);
		return strstr(why, "No such file") ? 2 : 4;
	}
	void *(*init)(uint32_t) = get("seccomp_init");
	void (*release)(void *) = get("seccomp_release");
	int (*arch_add)(void *, uint32_t) = get("seccomp_arch_add");
	int (*arch_remove)(void *, uint32_t) = get("seccomp_arch_remove");
	int (*attr_set)(void *, int, uint32_t) = get("seccomp_attr_set");
	int (*resolve)(const char *) = get("seccomp_syscall_resolve_name");
	int (*add)(void *, uint32_t, int, unsigned int, const struct cmp *) = get("seccomp_rule_add_array");
	int (*export_bpf)(const void *, int) = get("seccomp_export_bpf");

	while (fgets(line, sizeof line, stdin)) {
		char *word = strtok(line, " \n");
		if (!word)
			continue;
		if (!strcmp(word, "init")) {
			if (ctx)
				release(ctx);
			ctx = init(strtoul(strtok(NULL, " \n"), NULL, 0));
			error = ctx ? 0 : -1;
			if (ctx)
				arch_remove(ctx, 0);
		} else if (!strcmp(word, "arch")) {
			int rc = arch_add(ctx, strtoul(strtok(NULL, " \n"), NULL, 0));
			if (rc && rc != -17)
				error = rc;
		} else if (!strcmp(word, "tree")) {
			attr_set(ctx, 8, 2);
		} else if (!strcmp(word, "rule")) {
			struct cmp cmps[6];
			unsigned int count = 0;
			uint32_t action = strtoul(strtok(NULL, " \n"), NULL, 0);
			int number = resolve(strtok(NULL, " \n"));
			while ((word = strtok(NULL, " \n")) && count < 6) {
				cmps[count].arg = strtoul(word, NULL, 0);
				cmps[count].op = atoi(strtok(NULL, " \n"));
				cmps[count].a = strtoull(strtok(NULL, " \n"), NULL, 0);
				cmps[count].b = strtoull(strtok(NULL, " \n"), NULL, 0);
				count++;
			}
			/* Names that it does not know are left out, as runc does. */
			int rc = number == -1 || error ? 0 : add(ctx, action, number, count, cmps);
			if (rc)
				error = rc;
		} else if (!strcmp(word, "export")) {
			FILE *file = tmpfile();
			int rc = error ? error : export_bpf(ctx, fileno(file));
			rewind(file);
			size_t length = rc ? 0 : fread(program, 1, sizeof program, file);
			fclose(file);
			printf("%d %zu\n", rc, length);
			fwrite(program, 1, length, stdout);
			fflush(stdout);
		}
	}
	return 0;
}
