package definition

import (
	"os"
	"path/filepath"
	"strings"
)

const (
	typeLayer = "AWS::Lambda::LayerVersion"
	samLayer  = "AWS::Serverless::LayerVersion"
)

// addLayers lets a function find the modules of its layers, by NODE_PATH or PYTHONPATH.
func (t *template) addLayers(r *resource, f *Function) {
	layers := r.props.get("Layers")
	if name, argument := layers.intrinsic(); name == "Fn::If" {
		layers, _ = t.branch(layers.at, argument)
	}
	if layers == nil {
		return
	}
	var paths []string
	for _, item := range layers.items {
		dir := t.layer(item)
		if dir == "" {
			t.notef(Warning, item.at, r.logicalID, "the layer is not a folder of this machine: put what it has into the folder of the code")
			continue
		}
		paths = append(paths, modulePaths(f.Runtime, dir)...)
	}
	variable := "NODE_PATH"
	if strings.HasPrefix(f.Runtime, "python") {
		variable = "PYTHONPATH"
	}
	if len(paths) == 0 {
		return
	}
	if own := f.Env[variable]; own != "" {
		paths = append([]string{own}, paths...)
	}
	f.Env[variable] = strings.Join(paths, string(os.PathListSeparator))
	t.noteOnce(Ignored, layers.at, "layers are not unpacked to /opt here: functions find their modules by NODE_PATH and PYTHONPATH")
}

// layer returns the folder of a layer that this template has, or "".
func (t *template) layer(n *node) string {
	name, argument := n.intrinsic()
	if name != "Ref" {
		return ""
	}
	r, p := t.find(n.at, argument.str())
	if p != nil || r.typ != typeLayer && r.typ != samLayer {
		return ""
	}
	path, ok := r.body.get("Metadata", assetKey).scalar()
	if ok {
		path = t.asset(path)
	}
	for _, key := range []string{"ContentUri", "Content"} {
		if text, is := r.props.get(key).scalar(); is && !ok && !strings.Contains(text, "://") {
			path, ok = t.path(text), true
		}
	}
	if !ok || !exists(path) {
		return ""
	}
	dir, _ := t.folder(r, r.at, path)
	return dir
}

// modulePaths returns the folders of a layer in which a runtime looks for modules. A layer
// of SAM before its build has them without the folder of the runtime.
func modulePaths(runtime, dir string) []string {
	var found []string
	candidates := []string{"nodejs/node_modules", "nodejs/" + strings.TrimSuffix(strings.Replace(runtime, "nodejs", "node", 1), ".x") + "/node_modules", "node_modules", "nodejs"}
	if strings.HasPrefix(runtime, "python") {
		candidates = []string{"python", "python/lib/" + runtime + "/site-packages"}
		if !exists(filepath.Join(dir, "python")) {
			candidates = []string{"."}
		}
	} else if !strings.HasPrefix(runtime, "nodejs") {
		return nil
	}
	for _, name := range candidates {
		if path := filepath.Join(dir, filepath.FromSlash(name)); exists(path) {
			found = append(found, path)
		}
	}
	return found
}
