// The two servers that the tests of Kubernetes logins run: its API server and etcd, in one program.
package main

import (
	"fmt"
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: kube apiserver|etcd [ARGUMENT...]")
		os.Exit(2)
	}
	// Each reads the arguments of the process itself.
	which := os.Args[1]
	os.Args = append([]string{which}, os.Args[2:]...)
	switch which {
	case "apiserver":
		os.Exit(cli.Run(app.NewAPIServerCommand()))
	case "etcd":
		etcdmain.Main(os.Args)
	default:
		fmt.Fprintf(os.Stderr, "there is no server %q\n", which)
		os.Exit(2)
	}
}
