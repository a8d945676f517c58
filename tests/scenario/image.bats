load helpers

# The image, built once for all tests of the file: the layout $IMAGE, and in $BUNDLE/rootfs the root that functions run from.
setup_file() {
	: "${LLAMA_BUILD_DIR:?set it to the directory with the built programs}"
	export IMAGE=$BATS_FILE_TMPDIR/image BUNDLE=$BATS_FILE_TMPDIR/bundle JAIL=none
	"$LLAMA_BUILD_DIR/llama" image build "$IMAGE"
	umoci unpack --rootless --image "$IMAGE:latest" "$BUNDLE"
	if bwrap --unshare-all --ro-bind / / true 2>/dev/null; then
		JAIL=bwrap
	elif [ "$(id -u)" = 0 ]; then
		JAIL=chroot
	fi
}

# in_image NAME=VALUE… [PROGRAM…]: the entry point, or a program, in the image's root: read-only, a user without rights, nothing but /tmp
# to write to (which begins as a copy of $PWD/tmp), and the environment of the image's configuration.
in_image() {
	local -a environment
	readarray -t environment < <(config 'c["config"]["Env"]')
	while [[ ${1:-} == *=* ]]; do
		environment+=("$1")
		shift
	done
	[ $# -gt 0 ] || set -- "$(config 'c["config"]["Entrypoint"]')"
	mkdir -p tmp
	case $JAIL in
	bwrap)
		env -i "${environment[@]}" "$(command -v timeout)" 60 "$(command -v bwrap)" --unshare-all --share-net --die-with-parent --uid 12345 \
			--gid 12345 --ro-bind "$BUNDLE/rootfs" / --proc /proc --dev /dev --bind tmp /tmp --chdir / "$@" ;;
	chroot)
		cp -r tmp/. "$BUNDLE/rootfs/tmp"
		env -i "${environment[@]}" "$(command -v timeout)" 60 "$(command -v chroot)" --userspec=12345:12345 "$BUNDLE/rootfs" "$@" ;;
	esac
}

needs_jail() { [ "$JAIL" != none ] || skip "bubblewrap is refused, and chroot needs root"; }

# config EXPRESSION: a value of the image's configuration, c; a line each for a list.
config() {
	skopeo inspect --config "oci:$IMAGE" | python3 -c "
import json, sys
c = json.load(sys.stdin)
value = $1
print('\n'.join(value) if isinstance(value, list) else value)"
}

@test "the image is what Lambda takes, and building it again changes nothing" {
	run -0 llama image lint "$IMAGE"
	[ "$output" = "$IMAGE: an image that Lambda takes" ]
	(umask 077 && TZ=Asia/Tokyo LC_ALL=C.UTF-8 llama image build again) >/dev/null
	diff -r "$IMAGE" again
	llama image build again >/dev/null
	diff -r "$IMAGE" again
	[ "$(ls)" = "$(printf 'again\nhome')" ]
}

@test "skopeo copies it into a registry and back" {
	run -0 skopeo inspect "oci:$IMAGE"
	assert_output_has '"Os": "linux"'
	printf 'version: 0.1\nstorage: { filesystem: { rootdirectory: %s } }\nhttp: { addr: "127.0.0.1:0" }\n' "$PWD/registry" >registry.yml
	docker-registry serve registry.yml 2>registry.log &
	port() { sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' registry.log | grep .; }
	wait_until 100 port
	local remote
	remote=docker://127.0.0.1:$(port)/llama:latest
	skopeo --insecure-policy copy --quiet --dest-tls-verify=false "oci:$IMAGE" "$remote"
	skopeo --insecure-policy copy --quiet --src-tls-verify=false "$remote" oci:back:latest
	diff -r "$IMAGE/blobs" back/blobs
	run -0 llama image lint back
}

@test "in its own root the runtime starts, and answers what it is asked" {
	needs_jail
	cat >api.py <<'PYTHON'
# The Runtime API: one invocation that is no job; whatever is asked goes to the log. Ends when it was answered.
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.answer(200, b'{"no": "job"}', {"Lambda-Runtime-Aws-Request-Id": "one", "Lambda-Runtime-Deadline-Ms": "9999999999999"})
    def do_POST(self):
        print(self.path, self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.server.answered = True
        self.answer(202, b"{}", {})
    def answer(self, status, body, headers):
        print(self.command, self.path, flush=True)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.server.answered
    def log_message(self, *arguments):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
server.answered = False
print("port", server.server_port, flush=True)
while not server.answered:
    server.handle_request()
PYTHON
	python3 api.py >api.log &
	port() { sed -n 's/^port //p' api.log | grep .; }
	wait_until 100 port
	# It ends when nobody is there to ask any more.
	run ! in_image "AWS_LAMBDA_RUNTIME_API=127.0.0.1:$(port)"
	grep -q '^GET /2018-06-01/runtime/invocation/next$' api.log
	grep -q '^/2018-06-01/runtime/invocation/one/error ' api.log
}

@test "what is mirrored has no say in what the runtime loads" {
	needs_jail
	mkdir -p tmp/r/etc tmp/r/lib64 tmp/r/lib/x86_64-linux-gnu tmp/r/usr/lib/ssl
	local name
	for name in libc.so.6 libcurl.so.4 libcrypto.so.3 ld-linux-x86-64.so.2; do
		echo nonsense | tee "tmp/r/lib64/$name" "tmp/r/lib/$name" >"tmp/r/lib/x86_64-linux-gnu/$name"
	done
	echo nonsense | tee tmp/r/etc/ld.so.cache tmp/r/usr/lib/ssl/openssl.cnf >/dev/null
	run ! in_image
	assert_output_has "is started by AWS Lambda"
	run -0 in_image /llama/lib/ld.so --list /llama/bin/llama-runtime
	assert_output_has "libc.so.6 => /llama/lib/libc.so.6"
	[ -z "$(grep '=>' <<<"$output" | grep -v ' => /llama/lib/')" ]
}

@test "lint names the rule and the place" {
	cp -r "$IMAGE" other
	local manifest
	manifest=$(python3 -c 'import json; print(json.load(open("other/index.json"))["manifests"][0]["digest"][7:])')
	echo >>"other/blobs/sha256/$manifest"
	run -1 llama image lint other
	assert_output_has "digest: every blob has the size and the SHA-256 it is named by"
	assert_output_has "    the manifest has another content than it is named by"
	run -1 llama image lint home
	assert_output_has "layout: "
}

@test "a directory that is no image is refused and stays" {
	mkdir mine
	echo thesis >mine/thesis
	run -1 llama image build mine
	assert_output_has "mine is neither empty nor an image of llama"
	[ "$(cat mine/thesis)" = thesis ]
}
