module probe-action

go 1.24

require hookwright v0.0.0

// The build puts the SDK there.
replace hookwright => ./target/sdk
