# Setting up a cloud, with the clients that people have: the AWS CLI, skopeo, curl. The details are in stacks.py, by botocore.

load helpers

setup_file() {
	command -v docker-registry >/dev/null || export NO_REGISTRY=1
}

as() { AWS_ACCESS_KEY_ID=$1 AWS_SECRET_ACCESS_KEY=$2 AWS_SESSION_TOKEN=$3 aws "${@:4}"; }

stack_is() { [ "$(aws cloudformation describe-stacks --stack-name "$1" --query 'Stacks[0].StackStatus' --output text)" = "$2" ]; }

# make_stack NAME: what setup.json says; then the registry's host is $host.
make_stack() {
	aws cloudformation create-stack --stack-name "$1" --template-body "file://$BATS_TEST_DIRNAME/setup.json" --capabilities CAPABILITY_IAM >/dev/null
	wait_until 100 stack_is "$1" CREATE_COMPLETE
	host=${AWS_ENDPOINT_URL#https://}
}

# push FROM TO: an OCI layout to the registry, by somebody whose password is $password.
push() { SSL_CERT_FILE=$AWS_CA_BUNDLE timeout 60 skopeo --insecure-policy copy --dest-creds "AWS:$password" "oci:$1" "docker://$host/$2" 2>&1; }

make_image() { python3 -c "import layout, sys; layout.make_layout(*sys.argv[1:])" "$1" /bin/true; }

@test "STS says whose a key is, and whose is none" {
	start_cloud
	run -0 aws sts get-caller-identity --output text
	[[ $output == 000000000000*arn:aws:iam::000000000000:user/builder* ]]
	run -0 as ASIALLAMATESTCLOUD02 TestCloudSecret/+notreallyasecret0000002 TestCloudToken+/== sts get-caller-identity --query Arn --output text
	[ "$output" = arn:aws:sts::000000000000:assumed-role/builder/session ]
	run ! as ASIALLAMATESTCLOUD03 TestCloudSecret/+notreallyasecret0000003 TestCloudTokenThatHasExpired== sts get-caller-identity
	[[ $output == *"(ExpiredToken)"* ]]
	run ! as AKIANOBODY wrong "" sts get-caller-identity
	[[ $output == *"(InvalidClientTokenId)"* ]]
	run ! as AKIALLAMATESTCLOUD01 wrong "" sts get-caller-identity
	[[ $output == *"(SignatureDoesNotMatch)"* ]]
}

@test "stacks live as AWS's do" {
	start_cloud --resource-ms=0
	timeout 120 python3 "$BATS_TEST_DIRNAME/stacks.py" whole_life
}

@test "stacks fail as AWS's do" {
	start_cloud --resource-ms=0
	timeout 120 python3 "$BATS_TEST_DIRNAME/stacks.py" failures
}

@test "who lacks a permission is told so by each service in its way" {
	start_cloud --resource-ms=0
	timeout 120 python3 "$BATS_TEST_DIRNAME/stacks.py" denied
}

@test "Lambda takes no role that it can't assume, and no more memory than the account has" {
	start_cloud --resource-ms=0
	timeout 120 python3 "$BATS_TEST_DIRNAME/stacks.py" roles
}

@test "an image comes by the registry, becomes a function, and nothing is left of it" {
	[ -z "$NO_REGISTRY" ] || skip "docker-registry is not installed"
	start_cloud
	make_stack s
	make_image image
	password=$(aws ecr get-login-password)
	run ! push image elsewhere:v1
	[[ $output == *"The repository with name 'elsewhere' does not exist"* ]]
	push image s-image:v1
	local role
	role=$(aws cloudformation describe-stacks --stack-name s --query 'Stacks[0].Outputs[?OutputKey==`Role`].OutputValue' --output text)
	run ! aws lambda create-function --function-name f --package-type Image --code "ImageUri=$host/s-image:v2" --role "$role"
	[[ $output == *"Source image $host/s-image:v2 does not exist. Provide a valid source image."* ]]
	aws lambda create-function --function-name f --package-type Image --code "ImageUri=$host/s-image:v1" --role "$role" >/dev/null
	local digest
	digest=$(aws ecr describe-images --repository-name s-image --query 'imageDetails[0].imageDigest' --output text)
	[ "$(aws lambda get-function --function-name f --query Code.ResolvedImageUri --output text)" = "$host/s-image@$digest" ]
	wait_until 100 eval '[ "$(aws lambda get-function --function-name f --query Configuration.State --output text)" = Active ]'
	aws lambda invoke --function-name f --invocation-type Event nothing >/dev/null
	[ "$(aws logs describe-log-groups --query 'logGroups[].logGroupName' --output text)" = /aws/lambda/f ]

	# With an image in it the repository stays.
	aws cloudformation delete-stack --stack-name s
	wait_until 100 stack_is s DELETE_FAILED
	run -0 aws cloudformation describe-stack-events --stack-name s --query 'StackEvents[?ResourceStatus==`DELETE_FAILED`].ResourceStatusReason' --output text
	[[ $output == *"cannot be deleted because it still contains images"* ]]
	aws ecr batch-delete-image --repository-name s-image --image-ids imageTag=v1 >/dev/null
	run ! env SSL_CERT_FILE="$AWS_CA_BUNDLE" skopeo inspect --creds "AWS:$password" "docker://$host/s-image:v1"
	aws cloudformation delete-stack --stack-name s
	aws lambda delete-function --function-name f
	aws logs delete-log-group --log-group-name /aws/lambda/f
	wait_until 100 eval '[ "$(control resources | tr -dc "[:alnum:]_")" = bucketsrepositoriesrolespoliciesfunctionslog_groupsstacks ]'
}

@test "the registry wants a token that lasts, and takes one PATCH" {
	[ -z "$NO_REGISTRY" ] || skip "docker-registry is not installed"
	start_cloud
	make_stack s
	password=$(aws ecr get-login-password)
	ask() { curl -sS -H "Content-Type: application/octet-stream" --cacert "$AWS_CA_BUNDLE" -o body -D head -w '%{http_code}' "$@"; }
	[ "$(ask "$AWS_ENDPOINT_URL/v2/")" = 401 ]
	grep -qi '^www-authenticate: Basic realm="https://'"$host" head
	[ "$(ask -u AWS:x "$AWS_ENDPOINT_URL/v2/")" = 400 ]
	[ "$(ask -u "AWS:$password" "$AWS_ENDPOINT_URL/v2/")" = 200 ]
	[ "$(ask -u "AWS:$password" "$AWS_ENDPOINT_URL/v2/none/tags/list")" = 404 ]
	grep -q NAME_UNKNOWN body

	local upload
	[ "$(ask -u "AWS:$password" -X POST "$AWS_ENDPOINT_URL/v2/s-image/blobs/uploads/?mount=sha256:0&from=other")" = 202 ]
	upload=$(sed -n 's/^location: //Ip' head | tr -d '\r')
	[ "$(ask -u "AWS:$password" -X PATCH -d a "$upload")" = 202 ]
	upload=$(sed -n 's/^location: //Ip' head | tr -d '\r')
	[ "$(ask -u "AWS:$password" -X PATCH -d b "$upload")" = 201 ]
	[ "$(ask -u "AWS:$password" -X PUT "$upload&digest=sha256:$(printf ab | sha256sum | cut -c-64)")" = 400 ]

	[ "$(ask -u "AWS:$password" -X POST "$AWS_ENDPOINT_URL/v2/s-image/blobs/uploads/")" = 202 ]
	upload=$(sed -n 's/^location: //Ip' head | tr -d '\r')
	[ "$(ask -u "AWS:$password" -X PUT -d ab "$upload&digest=sha256:$(printf ab | sha256sum | cut -c-64)")" = 201 ]

	control settings -d '{"clock-offset-s": 43201}' >/dev/null
	[ "$(ask -u "AWS:$password" "$AWS_ENDPOINT_URL/v2/")" = 403 ]
	grep -q "Your authorization token has expired" body
}

@test "without docker-registry everything else works" {
	mkdir bin
	ln -s "$(type -P true)" bin/docker-registry # one that ends at once
	PATH=$PWD/bin:$PATH start_cloud
	make_stack s
	password=$(aws ecr get-login-password)
	run -0 curl -sS --cacert "$AWS_CA_BUNDLE" -u "AWS:$password" -X POST "$AWS_ENDPOINT_URL/v2/s-image/blobs/uploads/"
	[[ $output == *"is docker-registry installed?"* ]]
}

@test "a bucket's versions are listed by page and deleted" {
	start_cloud
	aws s3api create-bucket --bucket bucket >/dev/null
	for key in a b c; do aws s3api put-object --bucket bucket --key $key >/dev/null; done
	run -0 aws s3api list-object-versions --bucket bucket --page-size 2 --query 'Versions[].[Key, VersionId]' --output text
	[ "$output" = $'a\tnull\nb\tnull\nc\tnull' ]
	[ "$(counter s3 ListObjectVersions requests)" = 2 ]
	run -0 aws s3api delete-objects --bucket bucket --delete 'Objects=[{Key=a,VersionId=null},{Key=b,VersionId=x}]'
	[[ $output == *NoSuchVersion* ]]
	[ "$(aws s3api list-objects-v2 --bucket bucket --query 'Contents[].Key' --output text)" = $'b\tc' ]
}

@test "what CloudFormation doesn't have is refused by its name" {
	start_cloud
	run ! aws cloudformation validate-template --template-body '{"Resources": {"A": {"Type": "AWS::EC2::Instance"}}}'
	[[ $output == *"(ValidationError)"*"Unrecognized resource types: [AWS::EC2::Instance]"* ]]
	run ! aws cloudformation validate-template --template-body 'Resources: {}'
	[[ $output == *"templates in JSON, not in YAML"* ]]
	run ! aws cloudformation create-stack --stack-name s --template-body '{}' --role-arn arn:aws:iam::000000000000:role/service
	[[ $output == *"This cloud's CloudFormation has no RoleARN"* ]]
	run ! aws cloudformation list-exports
	[[ $output == *"(InvalidAction)"* ]]
}
