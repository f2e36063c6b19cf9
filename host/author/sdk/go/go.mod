module hookwright

go 1.24
