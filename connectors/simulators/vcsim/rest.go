package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"

	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator" // serves what is below restPath
	"github.com/vmware/govmomi/vim25/types"
)

// The REST API, of which tagging is used. The library takes any password, and attaches anything to anything; what vCenter
// refuses of that is refused here.

const (
	restPath    = "/rest/"
	sessionPath = restPath + "com/vmware/cis/session"
	taggingPath = restPath + "com/vmware/cis/tagging/"
	sessionName = "vmware-api-session-id"
)

var attachedTag = regexp.MustCompile(`^` + taggingPath + `tag-association/id:(.+)$`)

// serveREST answers a request of the REST API. Rules name it by its HTTP method, as in "POST /rest".
func (f *front) serveREST(w http.ResponseWriter, r *http.Request) {
	applies := f.book.take(r.Method + " /rest")
	if applies != nil && !applies.After {
		f.applyBare(applies, w)
		if applies.Action != "delay" {
			return
		}
	}
	played := f.rest(r)
	if applies != nil && applies.After {
		f.applyBare(applies, w)
		if applies.Action != "delay" {
			return
		}
	}
	played.sendTo(w)
}

func (f *front) rest(r *http.Request) *answer {
	user, password, given := r.BasicAuth()
	if r.Method == http.MethodPost && r.URL.Path == sessionPath && given &&
		(user != f.user.Username() || password != os.Getenv(passwordVariable)) {
		return restRefusal(http.StatusUnauthorized, "unauthenticated", "Authentication required.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return restRefusal(http.StatusBadRequest, "invalid_argument", err.Error())
	}
	tag := attachedTag.FindStringSubmatch(r.URL.Path)
	if tag != nil && r.URL.Query().Get("~action") == "attach" {
		if refused := f.cannotAttach(r, tag[1], body); refused != nil {
			return refused
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	played := &answer{header: http.Header{}, status: http.StatusOK}
	f.next.ServeHTTP(played, r)
	return played
}

// cannotAttach is the refusal of a tag whose category is not for such objects, or has one tag of an object alone, which it has.
func (f *front) cannotAttach(r *http.Request, tag string, body []byte) *answer {
	var asked struct {
		Object struct {
			Type string `json:"type"`
			ID   string `json:"id"`
		} `json:"object_id"`
	}
	if json.Unmarshal(body, &asked) != nil {
		return restRefusal(http.StatusBadRequest, "invalid_argument", "This is no object.")
	}
	object := types.ManagedObjectReference{Type: asked.Object.Type, Value: asked.Object.ID}
	if simulator.Map.Get(object) == nil {
		return restRefusal(http.StatusForbidden, "unauthorized", "There is no such object.")
	}
	type named struct {
		ID          string   `json:"id"`
		Category    string   `json:"category_id"`
		Cardinality string   `json:"cardinality"`
		Types       []string `json:"associable_types"`
	}
	var it, category named
	if !f.restAsk(r, "tag/id:"+tag, nil, &it) || !f.restAsk(r, "category/id:"+it.Category, nil, &category) {
		return nil // which the library tells
	}
	if len(category.Types) > 0 && !among(category.Types, object.Type) {
		return restRefusal(http.StatusBadRequest, "invalid_argument", "The category is not for objects of this type.")
	}
	var there []string
	f.restAsk(r, "tag-association?~action=list-attached-tags", body, &there)
	for _, id := range there {
		var other named
		single := category.Cardinality == "SINGLE" && id != tag
		if single && f.restAsk(r, "tag/id:"+id, nil, &other) && other.Category == it.Category {
			return restRefusal(http.StatusBadRequest, "invalid_argument", "The object has a tag of this category already.")
		}
	}
	return nil
}

// restAsk asks the library in the session of a request; false where it does not answer with a value.
func (f *front) restAsk(r *http.Request, what string, body []byte, into interface{}) bool {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(context.Background(), method, taggingPath+what, bytes.NewReader(body))
	if err != nil {
		return false
	}
	request.Header.Set(sessionName, r.Header.Get(sessionName))
	played := &answer{header: http.Header{}, status: http.StatusOK}
	f.next.ServeHTTP(played, request)
	value := struct {
		Value interface{} `json:"value"`
	}{into}
	return played.status == http.StatusOK && json.Unmarshal(played.body.Bytes(), &value) == nil
}

// restRefusal is an error as the REST API tells it.
func restRefusal(status int, kind, message string) *answer {
	told := &answer{header: http.Header{"Content-Type": {"application/json"}}, status: status}
	_ = json.NewEncoder(&told.body).Encode(map[string]interface{}{
		"type":  "com.vmware.vapi.std.errors." + kind,
		"value": map[string]interface{}{"messages": []map[string]string{{"default_message": message}}},
	})
	return told
}
