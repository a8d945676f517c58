/* A program made for the image, in the runtime's place: says that it runs, by means of libraries. */
#include <curl/curl.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	printf("%s %s %d\n", argv[0], curl_version_info(CURLVERSION_NOW)->host ? "runs" : "", argc);
	return 0;
}
