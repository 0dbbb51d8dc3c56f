// SPDX-License-Identifier: ISC

// A client of bmd that nobody here wrote: the Go library of Varlink. It asks what any client asks, and says what it got; each line
// that begins with "bad" is a failure. foreign_client ADDRESS JOB RUNNING: a job that is over, one that runs.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/varlink/go/varlink"
	"github.com/varlink/go/varlink/idl"
)

type object = map[string]interface{}

const ours = "io.bmd.Control"

func bad(format string, a ...interface{}) { fmt.Printf("bad: "+format+"\n", a...) }

// The error that a call answers, by its name; "" if it answers none.
func failure(ctx context.Context, c *varlink.Connection, method string, parameters object) string {
	var out object
	err := c.Call(ctx, method, parameters, &out)
	switch e := err.(type) {
	case nil:
		return ""
	case *varlink.InterfaceNotFound:
		return "InterfaceNotFound " + e.Interface
	case *varlink.MethodNotFound:
		return "MethodNotFound " + e.Method
	case *varlink.InvalidParameter:
		return "InvalidParameter " + e.Parameter
	case *varlink.Error:
		return e.Name
	}
	return "connection: " + err.Error()
}

func describe(ctx context.Context, c *varlink.Connection) {
	var vendor, product, version, url string
	var interfaces []string
	if err := c.GetInfo(ctx, &vendor, &product, &version, &url, &interfaces); err != nil {
		bad("GetInfo: %v", err)
	}
	fmt.Printf("info: %s %s [%s]\n", vendor, product, strings.Join(interfaces, " "))
	for _, name := range interfaces {
		text, err := c.GetInterfaceDescription(ctx, name)
		if err != nil {
			bad("GetInterfaceDescription %s: %v", name, err)
			continue
		}
		// Its parser is of the time when names of interfaces had small letters only.
		parsed, err := idl.New(strings.Replace(text, "interface "+ours, "interface "+strings.ToLower(ours), 1))
		if err != nil {
			bad("%s cannot be parsed: %v", name, err)
			continue
		}
		fmt.Printf("parsed: %s, methods %d\n", name, len(parsed.Methods))
	}
}

func expect(what, want, got string) {
	if want != got {
		bad("%s: %q instead of %q", what, got, want)
	}
}

// Replies to a call with More until the last one.
func stream(ctx context.Context, c *varlink.Connection, method string, parameters object) (n int, last object) {
	receive, err := c.Send(ctx, method, parameters, varlink.More)
	for err == nil {
		var flags uint64
		last = object{}
		flags, err = receive(ctx, &last)
		if err == nil {
			n++
		}
		if flags&varlink.Continues == 0 {
			break
		}
	}
	if err != nil {
		bad("%s: %v", method, err)
	}
	return n, last
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	job, _ := strconv.Atoi(os.Args[2])
	running, _ := strconv.Atoi(os.Args[3])
	c, err := varlink.NewConnection(ctx, os.Args[1])
	if err != nil {
		bad("%v", err)
		return
	}
	describe(ctx, c)

	var status object
	if err := c.Call(ctx, ours+".GetStatus", object{}, &status); err != nil || status["stages"] == nil {
		bad("GetStatus: %v %v", err, status)
	}
	if err := c.Call(ctx, ours+".GetStatus", nil, &status); err != nil {
		bad("GetStatus with null: %v", err)
	}
	expect("an interface that is not there", "InterfaceNotFound org.example.none", failure(ctx, c, "org.example.none.Ask", object{}))
	expect("a method that is not there", "MethodNotFound "+ours+".Ask", failure(ctx, c, ours+".Ask", object{}))
	expect("a parameter of another type", "InvalidParameter job", failure(ctx, c, ours+".GetJob", object{"job": "one"}))
	expect("a parameter too many", "InvalidParameter more", failure(ctx, c, ours+".GetJob", object{"job": job, "more": 1}))
	expect("a parameter too few", "InvalidParameter job", failure(ctx, c, ours+".GetJob", object{}))
	expect("a job that is not there", ours+".NoSuchJob", failure(ctx, c, ours+".GetJob", object{"job": 4711}))
	expect("two jobs without more", "org.varlink.service.ExpectedMore", failure(ctx, c, ours+".Wait", object{"jobs": []int{job, running}}))

	// Oneway: no reply at all, neither to a good call nor to a bad one; what comes next is of the next call.
	for _, method := range []string{ours + ".Cancel", ours + ".Ask"} {
		if _, err := c.Send(ctx, method, object{"key": "oneway", "job": running}, varlink.Oneway); err != nil {
			bad("oneway: %v", err)
		}
	}
	var info object
	if err := c.Call(ctx, "org.varlink.service.GetInfo", nil, &info); err != nil || info["product"] != "bmd" {
		bad("what follows oneway: %v %v", err, info)
	}
	n, last := stream(ctx, c, ours+".Wait", object{"jobs": []int{job, running}})
	expect("replies of Wait", "2", strconv.Itoa(n))
	ended, _ := last["job"].(map[string]interface{})
	fmt.Printf("cancelled by oneway: %v\n", ended["state"])
	n, last = stream(ctx, c, ours+".Log", object{"job": job, "follow": true})
	if n < 1 || last["job"] == nil {
		bad("Log: %d replies, the last %v", n, last)
	}
	// Several calls ahead are answered in their order.
	var receives []func(context.Context, interface{}) (uint64, error)
	for i := 0; i < 20; i++ {
		receive, err := c.Send(ctx, ours+".GetJob", object{"job": job - i%2*4711}, 0)
		if err != nil {
			bad("ahead: %v", err)
			return
		}
		receives = append(receives, receive)
	}
	for i, receive := range receives {
		var out object
		if _, err := receive(ctx, &out); (err == nil) != (i%2 == 0) {
			bad("answer %d of those ahead: %v", i, err)
		}
	}
	fmt.Println("done")
}
