// Static libraries: each program with a window names the QML modules it carries.
#include <QtPlugin>

Q_IMPORT_PLUGIN(CarrelPlugin)
Q_IMPORT_PLUGIN(Carrel_appPlugin)
