#!/bin/sh
# What Verilator's makefiles put before the compiler, as $OBJCACHE:
#
#     objcache.sh FOLDER COMPILER FLAGS... -o OBJECT SOURCE
#
# Compiles each file of Verilator's own library once per version, compiler and flags, and keeps it in
# FOLDER: two thirds of the time of building a small design. (An object put there before make runs is
# made again, since the library depends on the makefile that Verilator writes.) All else is passed on.
folder=$1
shift
object= source= last=
for word; do
    [ "$last" = -o ] && object=$word
    last=$word source=$word
done
case $source in
    /*/verilated*.cpp) ;;
    *) exec "$@" ;;
esac
name=${source##*/}
key=$({ command -v "$1"; "$1" --version; ls -l "$source"; shift; printf '%s\n' "$@"; } 2>/dev/null |
    cksum | tr ' ' -)
kept=$folder/${name%.cpp}-$key.o
cp "$kept" "$object" 2>/dev/null && exit
"$@" || exit
# whole, or not at all: others may be looking
part=$kept.$$.part
{ mkdir -p "$folder" && cp "$object" "$part" && mv "$part" "$kept"; } 2>/dev/null
exit 0
