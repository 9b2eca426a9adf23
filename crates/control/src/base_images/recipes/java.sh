# Java: Debian's OpenJDK without its desktop parts, AWS's runtime interface client from Maven Central.
step "downloading Debian packages ($SUITE)"
debian "$ROOT" "$SUITE" $COMMON $PACKAGES

step "downloading $CLIENT"
mkdir -p "$ROOT/var/runtime/lib"
: >"$WORK/libraries"
classpath=
for artifact in $CLIENT $LIBRARIES; do
    name=$(cut -d: -f2 <<<"$artifact")
    python3 "$FILES/fetch.py" maven "$artifact" "$ROOT/var/runtime/lib/$name.jar"
    echo "$artifact" >>"$WORK/libraries"
    classpath=$classpath:/var/runtime/lib/$name.jar
done

step "laying out Java $INTERPRETER"
home=$(cd "$ROOT/usr/lib/jvm" && ls -d java-"$INTERPRETER"-openjdk-*)
mkdir -p "$ROOT/var/lang/bin" "$ROOT/var/lang/lib"
ln -sf "/usr/lib/jvm/$home/bin/java" "$ROOT/var/lang/bin/java"
ln -sf "/usr/lib/jvm/$home/bin/java" "$ROOT/usr/bin/java"
ln -sf "/usr/lib/jvm/$home/bin/keytool" "$ROOT/usr/bin/keytool"
sed "s|@CLASSPATH@|${classpath#:}|" "$FILES/bootstrap-java" >"$ROOT/var/runtime/bootstrap"
chmod 755 "$ROOT/var/runtime/bootstrap"
layout

step "importing certificates"
mount -t proc proc "$ROOT/proc"
mkdir -p "$ROOT/etc/ssl/certs/java"
rm -f "$ROOT/etc/ssl/certs/java/cacerts"
# What the maintainer script of Debian's ca-certificates-java does.
(cd "$ROOT" && printf '+/%s\n' usr/share/ca-certificates/mozilla/*.crt) |
    inside /var/lang/bin/java -Xint -jar /usr/share/ca-certificates-java/ca-certificates-java.jar -storepass changeit >"$WORK/cacerts.log" ||
    { cat "$WORK/cacerts.log"; exit 1; }
[ -s "$ROOT/etc/ssl/certs/java/cacerts" ] || { cat "$WORK/cacerts.log"; exit 1; }

step "archiving classes"
# The archives name the time stamps of what they were made from: those are set first, and stay.
timestamps
inside /var/lang/bin/java -Xshare:dump -Xlog:disable
# Any class with a public method will do for a handler: this one takes a map, as most do, and answers nothing.
rehearse java.util.HashMap::putAll null BOJAGI_ARCHIVE=-XX:ArchiveClassesAtExit=/var/lang/lib/runtime.jsa
[ -s "$ROOT/var/lang/lib/runtime.jsa" ]
step "trying the image"
rehearse java.util.HashMap::putAll null
umount "$ROOT/proc"
finish
