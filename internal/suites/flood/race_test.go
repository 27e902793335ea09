//go:build race

package flood_test

const raceDetector = true
