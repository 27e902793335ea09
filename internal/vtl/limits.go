package vtl

// The bounds. API Gateway documents the first two. The others are our choice, and much
// greater than a payload of 128 KB needs.
const (
	maxTemplateBytes = 300 * 1024 // API Gateway quotas: "Mapping template size"
	maxRounds        = 1_000      // of each #foreach; API Gateway quotas: "Number of iterations in a #foreach loop"

	maxOutputBytes = 10 << 20  // of a whole run
	maxBuiltBytes  = 32 << 20  // of all strings, lists and maps that a run makes, kept or not
	maxSteps       = 2_000_000 // each visit of a node is a step, and so is a portion of the work on a long value

	maxNesting      = 100    // of blocks, expressions and strings in a template
	maxMacroDepth   = 20     // as Velocity's velocimacro.max.depth
	maxValueDepth   = 200    // of nested lists and maps
	maxRangeItems   = 10_000 // of [from..to]
	maxPatternBytes = 1_000  // of a regular expression
	maxPatternSize  = 1_500  // of its program, with repetitions written out
	maxMatches      = 100_000

	itemBytes = 48 // the cost of an item of a list or map, without its text

	scanBytes  = 64    // the text that is searched in one step
	matchBytes = 4     // the same, by a small regular expression
	pathBytes  = 16    // the same, along a path
	searchCost = 4_000 // steps of a path with several results: jsonpath bounds its work, but does not report it
)
