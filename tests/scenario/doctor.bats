load helpers
load cloud

# Each thing that may be wrong is broken by itself; what is asked is that doctor finds it, says what to do, and exits as builds will fare.

setup_file() {
	start_cloud llama-doctor
	[ -n "${NO_CLOUD:-}" ] || create_function small 512
}

teardown_file() { stop_cloud; }

with_cloud() {
	use_cloud
	printf 'engine = lambda\nfunction = llama\nbucket = llama-doctor\n' >"$LLAMA_CONFIG"
}

# finding VERDICT NAME TEXT [REMEDY]: a line of doctor's, and the one below it.
finding() {
	grep -A3 -E "^  $1 +$2 " <<<"$output" | grep -F -A3 -e "$3" | grep -q -F -e "${4:-$3}" || { echo "no $1 $2: $3 -> ${4:-}" && echo "$output" && return 1; } >&2
}

@test "a machine that is well" {
	run -0 llama doctor
	finding ok engine sandbox
	finding ok cache "$LLAMA_CACHE_DIR"
	finding ok runtime "$LLAMA_RUNTIME_DIR"
	finding ok process "engine sandbox"
	finding ok gcc "compiles by sandbox"
	assert_output_has "Builds will use the sandbox on this machine."
	[[ $output != *failed* ]]
}

@test "the configuration: bad values, unknown names, profiles that aren't there" {
	echo 'jobs = many' >"$LLAMA_CONFIG"
	run -1 llama doctor
	finding failed file "$LLAMA_CONFIG:1: jobs = many is not valid" "correct it"
	printf 'planet = mars\n[profile.a]\n' >"$LLAMA_CONFIG"
	LLAMACC_VERBOS=1 run -0 llama doctor
	finding warning names "$LLAMA_CONFIG:1: there is no option planet" "correct it"
	finding warning names "there is no environment variable LLAMACC_VERBOS" "unset it"
	run -1 llama doctor --name b
	finding failed file "has no section [profile.b]; its profiles: a"
	run -0 llama doctor --name a
	finding ok file "profile a"
	LLAMA_PROFILE=a llama daemon --stop
}

@test "the configuration: an engine that can't be, or isn't used" {
	echo 'engine = lambda' >"$LLAMA_CONFIG"
	run -1 llama doctor
	finding failed engine "neither function nor bucket are configured" "llama bootstrap"
	assert_output_has "Builds will not use the engine that is configured (lambda)"
	rm "$LLAMA_CONFIG"
	llama daemon --stop
	LLAMACC_LOCAL=1 run -1 llama doctor
	finding failed engine "LLAMACC_LOCAL is set" "unset"
	LLAMACC_ENGINE=local run -1 llama doctor
	finding failed engine "LLAMACC_ENGINE says local" "unset"
	LLAMA_ENGINE=local run -1 llama doctor
	finding failed engine "started with engine = sandbox, and now local is configured" "llama daemon --stop"
	llama daemon --stop
	LLAMA_ENGINE=local run -0 llama doctor
	assert_output_has "Builds will run plain commands, as configured"
}

@test "the machine: directories that won't do, few files, no compiler, another llamacc" {
	mkdir other
	chmod 0777 other
	LLAMA_CACHE_DIR=$PWD/other run -1 llama doctor
	finding failed cache "chmod go-w" "set cache_dir"
	finding failed process "no daemon: cannot use cache_dir"
	chmod 0755 "$LLAMA_RUNTIME_DIR"
	run -1 llama doctor
	finding failed runtime "chmod 700 $LLAMA_RUNTIME_DIR" "set LLAMA_RUNTIME_DIR"
	finding failed process "has mode 755"
	chmod 0700 "$LLAMA_RUNTIME_DIR"
	run -0 bash -c 'ulimit -n 512 && llama doctor'
	finding warning "open files" "at most 512 at once" "ulimit -Hn"
	mkdir bin
	printf '#!/bin/sh\nexec gcc "$@"\n' >bin/llamacc
	chmod +x bin/llamacc
	PATH=$PWD/bin:$PATH run -0 llama doctor
	finding warning llamacc "PATH leads to $PWD/bin/llamacc" "first on PATH"
	PATH=$LLAMA_BUILD_DIR run -1 "$LLAMA_BUILD_DIR/llama" doctor
	finding failed compilers "there is none on PATH" "install one"
}

@test "the machine: a full disk, and compilers that are scripts" {
	needs_root
	mkdir bin "$LLAMA_CACHE_DIR"
	mount -t tmpfs -o size=32m,mode=0700 none "$LLAMA_CACHE_DIR"
	run -1 llama doctor
	finding failed space "free for $LLAMA_CACHE_DIR" "make room"
	llama daemon --stop
	umount "$LLAMA_CACHE_DIR"
	printf '#!/bin/sh\nexec /usr/bin/gcc "$@"\n' >bin/gcc
	chmod +x bin/gcc
	PATH=$LLAMA_BUILD_DIR:$PWD/bin run -1 "$LLAMA_BUILD_DIR/llama" doctor
	finding warning gcc "$PWD/bin/gcc is run as a plain command: wrapper" "llamacc(1)"
	finding failed compilers "none can be used"
}

@test "a cloud that is well" {
	with_cloud
	run -0 llama doctor
	finding ok credentials "from the environment"
	finding ok region us-east-1
	finding ok bucket "llama-doctor can be read and written"
	finding ok function "1769 MB"
	finding ok invocation "sees the bucket"
	finding ok limit "1000 functions at once"
	finding ok gcc "compiles by lambda"
	assert_output_has "Builds will use AWS Lambda: function llama."
	[[ $output != *"$AWS_SECRET_ACCESS_KEY"* ]]
}

@test "the cloud: no credentials, wrong ones, expired ones, no region" {
	with_cloud
	AWS_SECRET_ACCESS_KEY=wrong run -1 llama doctor
	finding failed credentials "SignatureDoesNotMatch"
	llama daemon --stop
	env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY AWS_EC2_METADATA_DISABLED=true llama doctor >out && false
	output=$(cat out)
	finding failed credentials "" "aws configure"
	llama daemon --stop
	printf '[default]\n' >aws-config
	env -u AWS_REGION -u AWS_DEFAULT_REGION AWS_CONFIG_FILE=$PWD/aws-config llama doctor >out && false
	output=$(cat out)
	finding failed region "none is known" "AWS_REGION"
}

@test "the cloud: what is configured isn't there, is denied, or is small" {
	with_cloud
	export LLAMA_BUCKET=llama-elsewhere
	run -1 llama doctor
	finding failed bucket "llama-elsewhere doesn't exist" "llama bootstrap"
	unset LLAMA_BUCKET
	LLAMA_FUNCTION=nobody run -1 llama doctor
	finding failed function "there is no nobody in us-east-1" "llama bootstrap"
	finding failed engine "another function, bucket or region" "llama daemon --stop"
	llama daemon --stop
	LLAMA_FUNCTION=small run -0 llama doctor
	finding warning memory "512 MB: large files" "--memory 1769"
	curl -sS "$LLAMA_CLOUD_CONTROL/settings" -d '{"concurrency": 10}' >/dev/null
	llama daemon --stop
	run -0 llama doctor
	curl -sS "$LLAMA_CLOUD_CONTROL/settings" -d '{"concurrency": 1000}' >/dev/null
	finding warning limit "runs 10 functions at once" "L-B99A9384"
	curl -sS "$LLAMA_CLOUD_CONTROL/faults" -d '["s3.PutObject.error=1000:403"]' >/dev/null
	run -1 llama doctor
	curl -sS "$LLAMA_CLOUD_CONTROL/faults" -X DELETE >/dev/null
	finding failed bucket "cannot write"
	curl -sS "$LLAMA_CLOUD_CONTROL/faults" -d '["lambda.Invoke.kill=1000"]' >/dev/null
	run -1 llama doctor
	curl -sS "$LLAMA_CLOUD_CONTROL/faults" -X DELETE >/dev/null
	finding failed invocation ""
}
