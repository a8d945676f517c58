/* A statically linked program that becomes another: the interposer is in that one, and can't be in this. */
#include <unistd.h>

int main(int argc, char **argv)
{
	execv(argv[1], argv + 1);
	return 127;
}
