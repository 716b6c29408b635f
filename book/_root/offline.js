// A service worker answers for what is beside or below it: this one for the whole book.
importScripts("listen/offline.js");
