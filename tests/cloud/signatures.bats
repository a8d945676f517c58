load helpers

@test "what botocore signs is taken, what is changed in one character is refused" {
	start_cloud
	timeout 300 python3 "$BATS_TEST_DIRNAME/signatures.py"
}
