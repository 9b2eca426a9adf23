# Classes at the root and libraries in lib/, the layout that AWS documents for a Java .zip.
mvn -q -B compile
cp -r target/classes/. "$STAGE/"
mkdir "$STAGE/lib"
cp target/lib/*.jar "$STAGE/lib/"
