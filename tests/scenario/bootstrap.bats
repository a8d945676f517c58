load helpers
load cloud

OPTIONS=(--strict-roles=1 --role-delay-ms=300 --resource-ms=10 --update-ms=50)

# One test cloud for all tests of the file, with an environment of its own for each.
setup_file() {
	unshare -Ur true 2>/dev/null || { export NO_CLOUD="this system allows no user namespaces" && return; }
	python3 -c 'import botocore' 2>/dev/null || { export NO_CLOUD="there is no botocore (package python3-botocore)" && return; }
	command -v docker-registry >/dev/null || { export NO_CLOUD="there is no docker-registry (package docker-registry)" && return; }
	start_empty_cloud "${OPTIONS[@]}"
}

teardown_file() { stop_cloud; }

# with_cloud: what a newcomer has after `make cloud`, and no compiler on PATH: what it takes to try one is a test of its own.
with_cloud() {
	use_cloud
	control faults -X DELETE
	control settings -d '{"concurrency": 1000, "memory-limit-mb": 10240}'
	mkdir "$BATS_TEST_TMPDIR/none" "$BATS_TEST_TMPDIR/tmp"
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	[ ${#TMPDIR} -lt 49 ] || unset TMPDIR
}

control() { curl -sS --fail-with-body "$LLAMA_CLOUD_CONTROL/$1" "${@:2}" >"$BATS_FILE_TMPDIR/control"; }
order() { control faults -d "[\"$1\"]"; }
# on_path DIRECTORY COMMAND…
on_path() { timeout 300 env PATH="$1" "${@:2}" 3>&-; }
bootstrap() { on_path "$BATS_TEST_TMPDIR/none" "$LLAMA_BUILD_DIR/llama" bootstrap "$@"; }
take_down() { on_path "$BATS_TEST_TMPDIR/none" "$LLAMA_BUILD_DIR/llama" teardown --yes "$@"; }

# mutations: how many requests so far could have changed something.
mutations() {
	control counters
	python3 -c '
import json, re, sys
print(sum(numbers["requests"] for operations in json.load(open(sys.argv[1])).values() for name, numbers in operations.items()
          if not re.match("Get|Head|List|Describe|BatchGet|BatchCheck", name)))' "$BATS_FILE_TMPDIR/control"
}

# counted SERVICE OPERATION
counted() {
	control counters
	python3 -c 'import json, sys; print(json.load(open(sys.argv[1])).get(sys.argv[2], {}).get(sys.argv[3], {}).get("requests", 0))' \
		"$BATS_FILE_TMPDIR/control" "$@"
}

# assert_nothing_left NAME: of what bears this name; of buckets, roles and policies it is the beginning.
assert_nothing_left() {
	control resources
	! grep -E "\"$1[\"-]|/$1\"" "$BATS_FILE_TMPDIR/control"
}

# cloud_python CODE: with `client(service)` of botocore.
cloud_python() {
	timeout 60 python3 -c '
import os, sys
import botocore.session
def client(service):
    return botocore.session.get_session().create_client(service, endpoint_url=os.environ["AWS_ENDPOINT_URL"], verify=os.environ["AWS_CA_BUNDLE"])
exec(sys.argv[1])' "$1"
}

@test "from nothing: everything is made, proven with a compiler, used, and taken away" {
	with_cloud
	make_project project 3
	build_plainly project
	mkdir compilers
	ln -s "$(type -P gcc)" compilers/gcc
	ln -s "$(type -P as)" compilers/as
	run -0 --separate-stderr on_path "$PWD/compilers" "$LLAMA_BUILD_DIR/llama" bootstrap --yes
	assert_output_has "account    000000000000, as arn:aws:iam::000000000000:user/builder"
	assert_output_has "stack llama: to be created"
	assert_output_has "a month"
	assert_output_has "gcc            the same object, in "
	assert_output_has "ready      \`llama build make\` compiles in the cloud"
	[ -z "$stderr" ]
	[[ $output != *TestCloudSecret* ]]
	grep -qx 'engine = lambda' "$LLAMA_CONFIG"
	grep -qx 'concurrency = 1000' "$LLAMA_CONFIG"
	# Of the test's daemon and directory nothing is left.
	[ -z "$(ls -d "${TMPDIR:-/tmp}"/llama-setup-* 2>/dev/null)" ]
	run -0 llama build make -C project -j8
	assert_output_has "4 compiled in Lambda"
	assert_as_expected project
	# What the first build needs is in the bucket by then; teardown empties it, and has a daemon leave that would fill it.
	run -0 take_down
	assert_output_has "is emptied of"
	assert_output_has "left       nothing"
	assert_nothing_left llama
	! grep -qE 'engine|bucket|function|region' "$LLAMA_CONFIG"
	run -1 llama daemon --status
	run -0 take_down
	assert_output_has "there is no environment"
}

@test "again: there is nothing to change, and nothing is changed" {
	with_cloud
	run -0 bootstrap --yes --name again
	assert_output_has "there is none on PATH: nothing was tried"
	grep -qx '\[profile.again\]' "$LLAMA_CONFIG"
	cp "$LLAMA_CONFIG" before.ini
	local before
	before=$(mutations)
	run -0 bootstrap --name again # no --yes: nothing to ask
	assert_output_has "There is nothing to change in the cloud."
	assert_output_has "says so already"
	[ "$(mutations)" = "$before" ]
	cmp before.ini "$LLAMA_CONFIG"
	take_down --name again
	assert_nothing_left llama-again
	! grep -q again "$LLAMA_CONFIG"
}

@test "--dry-run and a question that nobody answers change nothing" {
	with_cloud
	local before
	before=$(mutations)
	run -0 bootstrap --dry-run --name dry
	assert_output_has "stack llama-dry: to be created"
	run -1 bootstrap --name dry </dev/null
	assert_output_has "say --yes"
	[ "$(mutations)" = "$before" ]
	[ ! -e "$LLAMA_CONFIG" ]
	AWS_REGION='' AWS_DEFAULT_REGION='' run -1 bootstrap --yes --name dry
	assert_output_has "no region is configured: say --region"
	run -1 bootstrap --yes --name Dry
	assert_output_has "can't be an environment's name"
	run -1 bootstrap --yes --name dry --arch riscv
	assert_output_has "there is no architecture riscv"
}

@test "Ctrl-C at the question ends it, and leaves nothing" {
	with_cloud
	run -0 timeout 120 python3 -c '
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
said = b""
while b"[y/N]" not in said:
    said += os.read(terminal, 4096)
os.write(terminal, b"\x03")
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGINT' "$LLAMA_BUILD_DIR/llama" bootstrap --name ask
	[ -z "$(ls -d "${TMPDIR:-/tmp/none}"/llama-setup-*/ 2>/dev/null)" ]
}

@test "another llama: a new image for the function, and the stack stays" {
	with_cloud
	bootstrap --yes --name up
	mkdir new
	cp "$LLAMA_BUILD_DIR"/{llama,llamacc,llama-runner,llama-runtime,llama-interpose.so} new
	echo new >>new/llama-runtime
	local stacks
	stacks=$(($(counted cloudformation UpdateStack) + $(counted cloudformation CreateStack)))
	run -0 on_path "$PWD/none" new/llama bootstrap --yes --name up --memory 2048
	assert_output_has "stack llama-up: as it should be"
	assert_output_has "to run this llama's image, its settings to be updated"
	assert_output_has "function   llama-up updated"
	[ $(($(counted cloudformation UpdateStack) + $(counted cloudformation CreateStack))) = "$stacks" ]
	# The way back: the repository has that image. The memory that was chosen stays.
	run -0 bootstrap --yes --name up
	assert_output_has "the repository has the image"
	cloud_python 'assert client("lambda").get_function(FunctionName="llama-up")["Configuration"]["MemorySize"] == 2048'
	# Without images and function, as an expiry and somebody's hand leave it.
	cloud_python '
ecr = client("ecr")
ecr.batch_delete_image(repositoryName="llama-up", imageIds=ecr.list_images(repositoryName="llama-up")["imageIds"])
client("lambda").delete_function(FunctionName="llama-up")'
	run -0 bootstrap --yes --name up
	assert_output_has "stack llama-up: as it should be"
	assert_output_has "push       "
	assert_output_has "function   llama-up created"
	take_down --name up
	assert_nothing_left llama-up
}

@test "a permission that is missing is named at every step, and with it the next run goes on from there" {
	with_cloud
	local action
	for action in cloudformation.DescribeStacks cloudformation.CreateStack cloudformation.DescribeStackEvents ecr.DescribeRepositories \
		ecr.GetAuthorizationToken ecr.InitiateLayerUpload ecr.PutImage lambda.GetFunction lambda.CreateFunction iam.PassRole; do
		order "$action.deny=1000"
		run -1 --separate-stderr bootstrap --yes --name perm
		echo "$action: $stderr" >&2
		[[ $stderr == *"${action/./:}"* && $stderr == *administrator* ]]
		control faults -X DELETE
	done
	order lambda.GetAccountSettings.deny=1000
	run -0 bootstrap --yes --name perm
	assert_output_has "limit      unknown"
	control faults -X DELETE
	for action in lambda.DeleteFunction s3.ListBucketVersions cloudformation.DeleteStack; do
		order "$action.deny=1000"
		run -1 --separate-stderr take_down --name perm
		echo "$action: $stderr" >&2
		[[ $stderr == *"${action/./:}"* ]]
		control faults -X DELETE
	done
	take_down --name perm
	assert_nothing_left llama-perm
}

@test "a stack that can't be made: the first cause is told, and the next run makes it anew" {
	with_cloud
	order "cloudformation.FunctionRole.resource-fail=1000:API: iam:CreateRole User: builder is not authorized to perform: iam:CreateRole"
	run -1 --separate-stderr bootstrap --yes --name sick
	[[ $stderr == *"the stack llama-sick could not be created: FunctionRole (AWS::IAM::Role): API: iam:CreateRole User"* ]]
	[[ $stderr == *"let an administrator run this"* ]]
	control faults -X DELETE
	run -0 bootstrap --yes --name sick
	assert_output_has "failed before: to be removed and created anew"
	order "cloudformation.Repository.delete-fail=1000"
	run -1 --separate-stderr take_down --name sick
	[[ $stderr == *"the stack llama-sick could not be removed: Repository"* ]]
	control faults -X DELETE
	take_down --name sick
	assert_nothing_left llama-sick
}

@test "credentials that expire half-way" {
	with_cloud
	order lambda.CreateFunction.expired=1000
	run -1 --separate-stderr bootstrap --yes --name late
	[[ $stderr == *"the credentials have expired"* ]]
	control faults -X DELETE
	AWS_ACCESS_KEY_ID=ASIALLAMATESTCLOUD03 AWS_SECRET_ACCESS_KEY=TestCloudSecret/+notreallyasecret0000003 \
		AWS_SESSION_TOKEN=TestCloudTokenThatHasExpired== run -1 --separate-stderr bootstrap --yes --name late
	[[ $stderr == *"the credentials have expired"* ]]
	bootstrap --yes --name late
	take_down --name late
	assert_nothing_left llama-late
}

# ended_at SIGNAL CONDITION WORDS…: bootstrap or teardown gets the signal when the condition holds. Counts in `ended`.
ended_at() {
	local status=0
	: >out
	env PATH="$BATS_TEST_TMPDIR/none" "$LLAMA_BUILD_DIR/llama" "${@:3}" >out 2>&1 3>&- &
	local pid=$!
	wait_until 600 eval "$2 || [ ! -d /proc/$pid ] || grep -q '^State:.Z' /proc/$pid/status"
	kill -"$1" $pid 2>/dev/null || true
	wait $pid || status=$?
	[ $status = 0 ] || [ $status -gt 128 ] || { cat out >&2 && false; }
	[ $status = 0 ] || ended=$((ended + 1))
}

# since SERVICE OPERATION N: there were more than N
since() { [ "$(counted "$1" "$2")" -gt "$3" ]; }

@test "interrupted after any step it goes on where it was" {
	with_cloud
	local signal stacks pushes functions deletions
	for signal in KILL INT; do
		local ended=0
		stacks=$(counted cloudformation CreateStack) pushes=$(counted ecr PutImage)
		functions=$(counted lambda CreateFunction) deletions=$(counted cloudformation DeleteStack)
		ended_at $signal "grep -q '^image' out" bootstrap --yes --name stop
		ended_at $signal "since cloudformation CreateStack $stacks" bootstrap --yes --name stop
		ended_at $signal "since ecr PutImage $pushes" bootstrap --yes --name stop
		ended_at $signal "since lambda CreateFunction $functions" bootstrap --yes --name stop
		[ $ended -ge 3 ]
		run -0 bootstrap --yes --name stop
		assert_output_has "ready      "
		# What SIGKILL leaves is a directory; another signal nothing.
		[ $signal = KILL ] || [ -z "$(ls -d "$BATS_TEST_TMPDIR"/tmp/llama-setup-*/ 2>/dev/null)" ]
		ended_at $signal "since cloudformation DeleteStack $deletions" teardown --yes --name stop
		rm -rf "$BATS_TEST_TMPDIR"/tmp/llama-setup-*
		take_down --name stop
		assert_nothing_left llama-stop
	done
}

@test "interrupted while a compiler is tried, it takes the compiler along" {
	with_cloud
	mkdir bin
	printf '#include <unistd.h>\nint main(void) { for (;;) pause(); }\n' >pause.c
	gcc -o bin/gcc pause.c
	on_path "$PWD/bin" "$LLAMA_BUILD_DIR/llama" bootstrap --yes --name stuck >out 2>&1 &
	wait_until 600 pgrep -f "^$PWD/bin/gcc "
	kill -INT "$(pgrep -f "^$LLAMA_BUILD_DIR/llama bootstrap --yes --name stuck")"
	wait $! || true
	grep -q "interrupted; run the same command again" out
	run -1 pgrep -f "^$PWD/bin/gcc "
	take_down --name stuck
}

@test "what isn't Llama's is neither used nor removed" {
	with_cloud
	cloud_python '
client("cloudformation").create_stack(StackName="llama-taken", TemplateBody="""{"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}}""")
client("ecr").create_repository(repositoryName="llama-image")'
	run -1 --separate-stderr bootstrap --yes --name taken
	[[ $stderr == *"a stack called llama-taken in this region that isn't Llama's"*"--name"* ]]
	run -1 --separate-stderr take_down --name taken
	[[ $stderr == *"isn't Llama's"* ]]
	run -1 --separate-stderr bootstrap --yes --name image
	[[ $stderr == *"Repository"*"already exists"*"choose another name by --name"* ]]
	take_down --name image
	cloud_python '
client("ecr").delete_repository(repositoryName="llama-image")
client("cloudformation").delete_stack(StackName="llama-taken")'
}

# What tells whose a function is when tags are hidden, is its role.
@test "a function of somebody else's beside our stack is not touched" {
	with_cloud
	bootstrap --yes --name mine
	bootstrap --yes --name theirs
	cloud_python '
aws = client("lambda")
image = aws.get_function(FunctionName="llama-mine")["Code"]["ImageUri"]
role = aws.get_function(FunctionName="llama-theirs")["Configuration"]["Role"]
aws.delete_function(FunctionName="llama-mine")
aws.create_function(FunctionName="llama-mine", PackageType="Image", Code={"ImageUri": image}, Role=role)'
	run -1 --separate-stderr take_down --name mine
	[[ $stderr == *"a function called llama-mine in this region that isn't Llama's"* ]]
	run -1 --separate-stderr bootstrap --join --name mine
	[[ $stderr == *"a function called llama-mine in this region that isn't Llama's"* ]]
	cloud_python 'client("lambda").delete_function(FunctionName="llama-mine")'
	run -1 --separate-stderr bootstrap --join --name mine
	[[ $stderr == *"has no function yet: whoever administers it"* ]]
	take_down --name mine
	take_down --name theirs
	assert_nothing_left llama-mine
}

@test "the configuration of an environment elsewhere that is called the same stays" {
	with_cloud
	cloud_python 'client("s3").create_bucket(Bucket="llama-elsewhere")'
	bootstrap --yes --name same
	sed -i 's/^bucket = .*/bucket = llama-elsewhere/' "$LLAMA_CONFIG"
	run -0 take_down --name same
	assert_output_has "it names the bucket llama-elsewhere, of another environment"
	grep -qx 'function = llama-same' "$LLAMA_CONFIG"
	cloud_python 'client("s3").delete_bucket(Bucket="llama-elsewhere")'
	run -0 take_down --name same
	! grep -q same "$LLAMA_CONFIG"
}

@test "a new account's limits" {
	with_cloud
	control settings -d '{"concurrency": 10, "memory-limit-mb": 1024}'
	run -0 bootstrap --yes --name small
	assert_output_has "limit      10 functions at a time"
	assert_output_has "L-B99A9384"
	assert_output_has "this account allows no more than 1024 MB of memory"
	grep -qx 'concurrency = 10' "$LLAMA_CONFIG"
	run -1 --separate-stderr bootstrap --yes --name small --memory 3000
	[[ $stderr == *"1024 MB of memory at most"* ]]
	take_down --name small
	assert_nothing_left llama-small
}

@test "who only builds joins, with the rights of a builder" {
	with_cloud
	run -1 --separate-stderr bootstrap --join --name team
	[[ $stderr == *"there is no environment \"team\" in us-east-1"*"whoever administers the account makes one"* ]]
	bootstrap --yes --name team
	rm "$LLAMA_CONFIG"
	local before
	before=$(mutations)
	control faults -d '["iam.*.deny=1000", "ecr.*.deny=1000", "logs.*.deny=1000", "cloudformation.DescribeStackEvents.deny=1000",
		"cloudformation.CreateStack.deny=1000", "cloudformation.UpdateStack.deny=1000", "lambda.CreateFunction.deny=1000"]'
	run -0 bootstrap --join --name team
	assert_output_has "ready      \`LLAMA_PROFILE=team llama build make\`"
	[ "$(mutations)" = "$before" ]
	control faults -X DELETE
	grep -qx '\[profile.team\]' "$LLAMA_CONFIG"
	grep -qx 'function = llama-team' "$LLAMA_CONFIG"
	LLAMA_PROFILE=team run -0 llama config
	assert_output_has "llama-team"
	# A second one beside it, and its end concerns nobody else.
	bootstrap --yes --name team-b
	LLAMA_PROFILE=team-b take_down
	assert_nothing_left llama-team-b
	grep -qx 'function = llama-team' "$LLAMA_CONFIG"
	take_down --name team
	assert_nothing_left llama-team
}

@test "another region has nothing of an environment, until bootstrap makes it there" {
	with_cloud
	bootstrap --yes --name far
	mkdir west
	serve west --region=us-west-2 "${OPTIONS[@]}"
	# shellcheck disable=SC1091
	. west/ready
	run -1 --separate-stderr bootstrap --join --name far --region us-west-2
	[[ $stderr == *'there is no environment "far" in us-west-2 of account 000000000000'*'see that --region'*'`llama bootstrap`'* ]]
	run -1 llama status --name far --region us-west-2
	assert_output_has 'There is nothing of it. `llama bootstrap --name far'
	make_project project 1
	build_plainly project
	export LLAMA_PROFILE=far
	LLAMA_REGION=us-west-2 run -0 llama build make -C project
	assert_output_has "2 compiled in place"
	assert_output_has "there is no such bucket: create it in this region (us-west-2), or set \`bucket\` to one that exists"
	assert_as_expected project
	LLAMA_REGION=us-west-2 run -1 llama doctor
	assert_output_has "there is no llama-far in us-west-2"
	llama daemon --stop
	run -0 bootstrap --yes --region us-west-2
	assert_output_has "function   llama-far created"
	grep -qx 'region = us-west-2' "$LLAMA_CONFIG"
	make_project second 1
	sed -i s/-O1/-O2/ second/Makefile # or what was compiled here would do
	build_plainly second
	run -0 llama build make -C second
	assert_output_has "2 compiled in Lambda"
	assert_as_expected second
	take_down
	assert_nothing_left llama-far
	# The other is as it was.
	use_cloud
	run -0 llama status --region us-east-1
	take_down --region us-east-1
	assert_nothing_left llama-far
}

@test "the compiler is upgraded: the next build compiles everything anew in Lambda, and nothing else is to be done" {
	with_cloud
	# A copy of the compiler below own; upgraded it calls itself something else in what it compiles.
	local cc1 own distribution name
	cc1=$(gcc -print-prog-name=cc1)
	own=$PWD/own/${cc1#/usr/}
	distribution=$(gcc --version | sed -n '1s/[^(]*(\([A-Za-z]*\).*/\1/p')
	mkdir -p own/bin "${own%/*}"
	cp "$(realpath "$(type -P gcc)")" own/bin/gcc
	cp -rs "${cc1%/*}/." "${own%/*}"
	bootstrap --yes --name cc
	export LLAMA_PROFILE=cc PATH=$PWD/own/bin:$PATH
	for name in "$distribution" "${distribution%?}X"; do
		sed "s/($distribution/($name/g" "$cc1" >cc1
		chmod +x cc1
		mv -f cc1 "$own"
		rm -rf project project.expected
		make_project project 3
		build_plainly project
		run -0 llama build make -C project -j8
		assert_output_has "4 compiled in Lambda"
		assert_as_expected project
		strings -a project/unit1.o | grep -qF "($name"
	done
	assert_stat executed.lambda 8
	take_down
	assert_nothing_left llama-cc
}
