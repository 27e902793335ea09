set -eu
# Lines of docs/management.md. API and ID come from the test.
curl -fsS -X PUT "$API/@connections/$ID/groups/room-1"
curl -fsS "$API/@connections?group=room-1&limit=10"
curl -fsS "$API/@connections?group=room-1&count=true"
curl -fsS -d 'hello' "$API/@connections?group=room-1"
curl -fsS -X PUT -d '{"seen":3}' "$API/@connections/$ID/state"
curl -fsS --etag-save etag.txt "$API/@connections/$ID/state"
curl -fsS -X PUT -H "If-Match: $(cat etag.txt)" -d '{"seen":4}' "$API/@connections/$ID/state"
test "$(curl -sS -o /dev/null -w '%{http_code}' -X PUT -H "If-Match: $(cat etag.txt)" -d '{"seen":4}' "$API/@connections/$ID/state")" = 412
curl -fsS --data-binary @picture.png "$API/@connections?group=room-1&binary=true"
curl -fsS -H 'Content-Type: application/x-ndjson' --data-binary @messages.ndjson "$API/@connections"
curl -fsS -X DELETE "$API/@connections?group=room-1&code=4001&reason=closed"
