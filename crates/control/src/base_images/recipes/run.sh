# Runs the recipe in PID and mount namespaces of its own and ends it, with everything it started, when standard input ends: whoever
# started this holds the other end, and the kernel closes it however they die.
exec 2>&1 3<&0
unshare --mount --pid --fork --kill-child --mount-proc bash "$FILES/recipe.sh" </dev/null 3<&- &
recipe=$!
{ read -r _ <&3; kill -KILL "$recipe"; } 2>/dev/null &
watcher=$!
exec 3<&-
wait "$recipe"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
